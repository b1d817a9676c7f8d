// A step in an image that holds nothing else: no shell, no Python, no library.
//
//	static [-in FILE] [-out FILE] [-word FILE] [-seconds N] [-deaf] [-private] TEXT
//
// It writes what it reads (or TEXT) in capitals to -out, and the number of bytes to -word.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	in := flag.String("in", "", "read this file")
	out := flag.String("out", "", "write this file")
	word := flag.String("word", "", "write the number of bytes here")
	seconds := flag.Int("seconds", 0, "wait so long first")
	private := flag.Bool("private", false, "only the user who writes may read")
	deaf := flag.Bool("deaf", false, "do not end when told to")
	flag.Parse()
	text := []byte(flag.Arg(0))
	if *in != "" {
		found, err := os.ReadFile(*in)
		check(err)
		text = found
	}
	if *deaf {
		signal.Ignore(syscall.SIGTERM)
	}
	time.Sleep(time.Duration(*seconds) * time.Second)
	mode := os.FileMode(0o644)
	if *private {
		mode = 0o600
	}
	if *out != "" {
		write(*out, bytes.ToUpper(text), mode)
	}
	if *word != "" {
		write(*word, []byte(fmt.Sprint(len(text))), mode)
	}
	fmt.Println("user", os.Getuid(), "bytes", len(text))
}

func write(path string, content []byte, mode os.FileMode) {
	check(os.MkdirAll(filepath.Dir(path), 0o755))
	check(os.WriteFile(path, content, mode))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
