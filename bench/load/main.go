// Load puts requests to a Kubernetes API server and says how many were answered in a second.
//
//	load --server URL --ca FILE --token T --namespace NS --clients 8 --seconds 3 create|get|update|list|watch|pods
//
// Each client has one connection, HTTP/1.1, which it keeps. `watch` measures how long one write takes to be seen by every watcher.
// It prints one JSON object: `count`, `seconds`, and the median and the 99th percentile of one request in milliseconds.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"
)

var (
	server    = flag.String("server", "", "address, such as https://127.0.0.1:6443")
	authority = flag.String("ca", "", "PEM file of the server's authority")
	token     = flag.String("token", "", "bearer token")
	namespace = flag.String("namespace", "default", "where to work; it is there")
	clients   = flag.Int("clients", 1, "clients at once; for watch: watchers")
	seconds   = flag.Float64("seconds", 3, "how long")
	prefix    = flag.String("prefix", "load", "what names begin with")
	count     = flag.Int("count", 0, "instead of --seconds: how many requests, of all clients together; for pods: how many to make")
)

type conn struct{ http *http.Client }

func connect(pool *x509.CertPool) *conn {
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
		MaxIdleConnsPerHost: 1,
		DisableCompression:  true,
	}
	return &conn{&http.Client{Transport: transport}}
}

func (c *conn) open(method, path string, body []byte) *http.Response {
	request, err := http.NewRequest(method, *server+path, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+*token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode >= 300 {
		said, _ := io.ReadAll(answer.Body)
		log.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, said)
	}
	return answer
}

func (c *conn) call(method, path string, body []byte) []byte {
	answer := c.open(method, path, body)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	return said
}

func configMap(name string, number int) []byte {
	return []byte(fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{"app":"load"}},"data":{"key":"value","number":"%d"}}`, name, number))
}

func collection() string { return "/api/v1/namespaces/" + *namespace + "/configmaps" }

// requests measures one verb: every client asks again as soon as it was answered.
func requests(pool *x509.CertPool, verb string) []time.Duration {
	var group sync.WaitGroup
	taken := make([][]time.Duration, *clients)
	ready, begin := make(chan struct{}, *clients), make(chan struct{})
	for client := range *clients {
		group.Add(1)
		go func() {
			defer group.Done()
			c := connect(pool)
			own := fmt.Sprintf("%s-%s-%d", *prefix, verb, client)
			path := collection() + "/" + own
			switch verb {
			case "get", "update":
				c.call("POST", collection(), configMap(own, 0))
			default:
				c.call("GET", "/version", nil) // the connection is there
			}
			ready <- struct{}{}
			<-begin
			end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
			for number := 1; number <= *count / *clients || *count == 0 && time.Now().Before(end); number++ {
				start := time.Now()
				switch verb {
				case "create":
					c.call("POST", collection(), configMap(fmt.Sprintf("%s-%d", own, number), number))
				case "get":
					c.call("GET", path, nil)
				case "update":
					c.call("PUT", path, configMap(own, number))
				case "list":
					c.call("GET", "/api/v1/namespaces/"+*namespace+"/pods", nil)
				}
				taken[client] = append(taken[client], time.Since(start))
			}
		}()
	}
	for range *clients {
		<-ready
	}
	close(begin)
	group.Wait()
	var all []time.Duration
	for _, each := range taken {
		all = append(all, each...)
	}
	return all
}

// fanOut measures how long one write takes to be seen by every watcher.
func fanOut(pool *x509.CertPool) []time.Duration {
	c := connect(pool)
	own := *prefix + "-watched"
	c.call("POST", collection(), configMap(own, 0))
	seen := make(chan time.Time, *clients)
	for range *clients {
		answer := connect(pool).open("GET", collection()+"?watch=1&fieldSelector=metadata.name="+own, nil)
		lines := bufio.NewReader(answer.Body)
		if _, err := lines.ReadBytes('\n'); err != nil { // that it is there
			log.Fatal(err)
		}
		go func() {
			for {
				if _, err := lines.ReadBytes('\n'); err != nil {
					return
				}
				seen <- time.Now()
			}
		}()
	}
	var taken []time.Duration
	end := time.Now().Add(time.Duration(*seconds * float64(time.Second)))
	for number := 1; time.Now().Before(end); number++ {
		start := time.Now()
		c.call("PUT", collection()+"/"+own, configMap(own, number))
		var last time.Time
		for range *clients {
			last = <-seen
		}
		taken = append(taken, last.Sub(start))
	}
	return taken
}

func pod(number int) []byte {
	return []byte(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"%s-%d","labels":{"app":"load"}},"spec":{"nodeName":"nowhere","containers":[{"name":"main","image":"none","command":["true"],"env":[{"name":"A","value":"b"}]}]}}`, *prefix, number))
}

func pods(pool *x509.CertPool) {
	c := connect(pool)
	for number := range *count {
		c.call("POST", "/api/v1/namespaces/"+*namespace+"/pods", pod(number))
	}
}

func main() {
	log.SetFlags(0)
	flag.Parse()
	pem, err := os.ReadFile(*authority)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	var taken []time.Duration
	start := time.Now()
	switch verb := flag.Arg(0); verb {
	case "create", "get", "update", "list":
		taken = requests(pool, verb)
	case "watch":
		taken = fanOut(pool)
	case "pods":
		pods(pool)
		return
	default:
		log.Fatalf("%q: create, get, update, list, watch or pods", verb)
	}
	passed := time.Since(start).Seconds()
	sort.Slice(taken, func(i, j int) bool { return taken[i] < taken[j] })
	milliseconds := func(part float64) float64 {
		return float64(taken[int(part*float64(len(taken)-1))].Microseconds()) / 1000
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"count": len(taken), "seconds": passed, "median_ms": milliseconds(0.5), "p99_ms": milliseconds(0.99),
	})
}
