// A table that is wider than its place is scrolled in it: with the keyboard, too, for which the theme makes no way.
const reach = () => {
  for (const place of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
    else place.removeAttribute("tabindex");
  }
};
addEventListener("resize", reach);
addEventListener("load", reach);
new MutationObserver(reach).observe(document.documentElement, { childList: true, subtree: true });
