"""What goes wrong in the pages of a test while nobody looks: any of it fails the test, unless the test says that it wants it."""

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

INLINE = ("data:", "blob:", "about:")
# The console repeats what is told of requests and of answers already.
REPEATED = "Failed to load resource"
# A browser gives up what it no longer needs: the events of a page that is left, the page that became a download.
GIVEN_UP = "net::ERR_ABORTED"

NOT_READY = 503  # of a host that starts


class Watch:
    """Keeps the faults of browser contexts.

    Args:
        host: The only address that pages may ask, such as ``http://127.0.0.1:8080``.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._answers: dict[tuple[str, int], int] = {}
        self._messages: dict[str, int] = {}
        self._faults: list[str] = []
        self._frames_may_try = False
        self._host_may_go = False

    def let_host_go(self) -> None:
        """Take requests that nobody answers for no fault of the page: the test ends the host."""
        self._host_may_go = True

    def let_frames_try(self) -> None:
        """Take what the console says of a step's own frame for no fault of the page: a crawl meets whatever steps wrote."""
        self._frames_may_try = True

    def expect_answer(self, path: str, status: int) -> None:
        """Want an answer that would be a fault otherwise.

        Args:
            path: Without the query.
            status: From 400.
        """
        self._answers.setdefault((path, status), 0)

    def expect_message(self, part: str) -> None:
        """Want an error or a warning in the console that has this part."""
        self._messages.setdefault(part, 0)

    def faults(self) -> list[str]:
        """What went wrong so far, and what was wanted and did not come."""
        answers = [f"{path} did not answer {status}" for (path, status), count in self._answers.items() if not count]
        messages = [f"the console did not say {part!r}" for part, count in self._messages.items() if not count]
        return [*self._faults, *answers, *messages]

    def follow(self, context: BrowserContext) -> None:
        """Watch all pages of a context from now on."""
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("requestfailed", self._failed)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning", "assert"} or message.text.startswith(REPEATED):
            return
        if wanted := [part for part in self._messages if part in message.text]:
            self._messages[wanted[0]] += 1
        elif not (self._frames_may_try and urlsplit(message.location["url"]).path.endswith("/view")):
            self._faults.append(f"console, {message.type}: {message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        if not (self._frames_may_try and "The document is sandboxed" in error.error.message):
            self._faults.append(f"uncaught: {error.error.stack or error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._host + "/", *INLINE)):
            self._faults.append(f"{request.method} {request.url}: a request to another place than the host")

    def _failed(self, request: Request) -> None:
        frames = self._frames_may_try and request.failure == "csp"
        if request.failure != GIVEN_UP and not frames and not self._host_may_go:
            self._faults.append(f"{request.method} {request.url}: {request.failure}")

    def _response(self, response: Response) -> None:
        key = (urlsplit(response.url).path, response.status)
        if key in self._answers:
            self._answers[key] += 1
        elif response.status >= 400 and not (self._host_may_go and response.status == NOT_READY):
            self._faults.append(f"{response.request.method} {response.url}: {response.status}")
