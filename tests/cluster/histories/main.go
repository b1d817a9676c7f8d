// Histories lets clients read and write a few ConfigMaps of a Kubernetes API server that somebody kills meanwhile, and says whether
// what they were answered could have come from one that does one thing at a time (linearizability, checked by porcupine).
//
//	histories --server URL --ca FILE --token T --namespace NS --seed 1
//
// It prints the number of requests answered so far, a line each 50, until its standard input ends. Its last line is a JSON object:
// `result` (Ok, Illegal, Unknown), `answered`, and `unknown`, the writes of which nobody knows whether they happened.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	server    = flag.String("server", "", "address, such as https://127.0.0.1:6443")
	authority = flag.String("ca", "", "PEM file of the server's authority")
	token     = flag.String("token", "", "bearer token")
	namespace = flag.String("namespace", "default", "where to work; it is there")
	clients   = flag.Int("clients", 8, "clients at once")
	keys      = flag.Int("keys", 3, "ConfigMaps")
	seed      = flag.Int64("seed", 1, "what clients do follows from it")
	page      = flag.String("page", "", "where to write a picture of a history that is illegal")
)

const pause = 20 * time.Millisecond

// What is asked of a key: get, create, update (of a revision) or delete.
type input struct {
	verb, key, value string
	revision         int64
}

// What came back: an HTTP status, or 0 where nobody knows what became of the request.
type output struct {
	status   int
	value    string
	revision int64
}

// What a key holds. The revision is 0 as long as nobody was told it.
type state struct {
	exists   bool
	value    string
	revision int64
}

var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, each := range history {
			key := each.Input.(input).key
			byKey[key] = append(byKey[key], each)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return state{} },
	Step: func(before, asked, answered any) (bool, any) {
		return step(before.(state), asked.(input), answered.(output))
	},
	DescribeOperation: func(asked, answered any) string { return fmt.Sprintf("%+v -> %+v", asked, answered) },
}

// step says whether a key that holds `is` may answer so, and what it holds afterwards. A write whose end nobody knows may happen at
// any time after it was asked for; at the end of all time, that is never.
func step(is state, asked input, answered output) (bool, state) {
	current := is.exists && (is.revision == 0 || is.revision == asked.revision)
	written := state{true, asked.value, answered.revision}
	switch asked.verb {
	case "get":
		if answered.status == http.StatusNotFound {
			return !is.exists, is
		}
		known := is.revision == 0 || is.revision == answered.revision
		return is.exists && known && is.value == answered.value, state{true, is.value, answered.revision}
	case "create":
		switch answered.status {
		case http.StatusCreated:
			return !is.exists, written
		case http.StatusConflict:
			return is.exists, is
		}
		if !is.exists {
			return true, written
		}
		return true, is
	case "update":
		switch answered.status {
		case http.StatusOK:
			return current, written
		case http.StatusConflict:
			return is.exists && is.revision != asked.revision, is
		case http.StatusNotFound:
			return !is.exists, is
		}
		if current {
			return true, written
		}
		return true, is
	case "delete":
		switch answered.status {
		case http.StatusOK:
			return is.exists, state{}
		case http.StatusNotFound:
			return !is.exists, is
		}
		return true, state{}
	}
	panic(asked.verb)
}

type client struct {
	http  *http.Client
	dice  *rand.Rand
	id    int
	known map[string]int64 // revisions that it was told last
	did   []porcupine.Operation
}

var (
	answers   atomic.Int64
	unknowns  atomic.Int64
	began     = time.Now()
	endOfTime = int64(1) << 62
)

func (c *client) next(number int) input {
	asked := input{key: fmt.Sprintf("history-%d-%d", *seed, c.dice.Intn(*keys)), value: fmt.Sprintf("%d-%d", c.id, number)}
	switch chance := c.dice.Intn(10); {
	case chance < 3:
		asked.verb, asked.value = "get", ""
	case chance < 5 || c.known[asked.key] == 0:
		asked.verb = "create"
	case chance < 9:
		asked.verb, asked.revision = "update", c.known[asked.key]
	default:
		asked.verb, asked.value = "delete", ""
	}
	return asked
}

// ask sends one request; false where it certainly never reached the server.
func (c *client) ask(asked input) (output, bool) {
	collection := *server + "/api/v1/namespaces/" + *namespace + "/configmaps"
	method, path, body := "GET", collection+"/"+asked.key, []byte(nil)
	meta := map[string]string{"name": asked.key}
	switch asked.verb {
	case "create":
		method, path = "POST", collection
	case "update":
		method = "PUT"
		meta["resourceVersion"] = strconv.FormatInt(asked.revision, 10)
	case "delete":
		method = "DELETE"
	}
	if asked.value != "" {
		body, _ = json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": map[string]string{"value": asked.value},
		})
	}
	request, err := http.NewRequest(method, path, bytes.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+*token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(request)
	var dialled *net.OpError
	if errors.As(err, &dialled) && dialled.Op == "dial" {
		return output{}, false
	}
	if err != nil {
		return output{}, true
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return output{}, true
	}
	if answer.StatusCode >= 500 { // it stops, or starts: whether it was done is not said
		return output{}, true
	}
	var found struct {
		Metadata struct{ ResourceVersion string }
		Data     struct{ Value string }
	}
	if err := json.Unmarshal(said, &found); err != nil {
		log.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, said)
	}
	revision, _ := strconv.ParseInt(found.Metadata.ResourceVersion, 10, 64)
	switch answer.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNotFound, http.StatusConflict:
		return output{answer.StatusCode, found.Data.Value, revision}, true
	}
	log.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, said)
	panic("unreachable")
}

func (c *client) work(stop <-chan struct{}) {
	for number := 1; ; number++ {
		select {
		case <-stop:
			return
		default:
		}
		asked := c.next(number)
		start := time.Since(began).Nanoseconds()
		answered, sent := c.ask(asked)
		end := time.Since(began).Nanoseconds()
		if !sent || answered.status == 0 && asked.verb == "get" {
			time.Sleep(pause)
			continue
		}
		if answered.status == 0 {
			end = endOfTime
			unknowns.Add(1)
		} else {
			if count := answers.Add(1); count%50 == 0 {
				fmt.Println(count)
			}
		}
		if answered.revision != 0 && asked.verb != "delete" {
			c.known[asked.key] = answered.revision
		}
		c.did = append(c.did, porcupine.Operation{ClientId: c.id, Input: asked, Call: start, Output: answered, Return: end})
	}
}

// inOrder says whether of two writes of which one was answered before the other was asked for, the later has the higher revision.
func inOrder(history []porcupine.Operation) bool {
	var writes []porcupine.Operation
	for _, each := range history {
		if verb := each.Input.(input).verb; (verb == "create" || verb == "update") && each.Output.(output).status < 300 && each.Output.(output).status > 0 {
			writes = append(writes, each)
		}
	}
	byEnd := append([]porcupine.Operation(nil), writes...)
	sort.Slice(writes, func(i, j int) bool { return writes[i].Call < writes[j].Call })
	sort.Slice(byEnd, func(i, j int) bool { return byEnd[i].Return < byEnd[j].Return })
	highest, ended := int64(0), 0
	for _, each := range writes {
		for ; ended < len(byEnd) && byEnd[ended].Return < each.Call; ended++ {
			highest = max(highest, byEnd[ended].Output.(output).revision)
		}
		if each.Output.(output).revision <= highest {
			return false
		}
	}
	return true
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
	stop := make(chan struct{})
	var group sync.WaitGroup
	all := make([]*client, *clients)
	for id := range all {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 1}
		all[id] = &client{
			http:  &http.Client{Transport: transport, Timeout: 60 * time.Second},
			dice:  rand.New(rand.NewSource(*seed*1000 + int64(id))),
			id:    id,
			known: map[string]int64{},
		}
		group.Add(1)
		go func() {
			defer group.Done()
			all[id].work(stop)
		}()
	}
	io.Copy(io.Discard, os.Stdin)
	close(stop)
	group.Wait()
	var history []porcupine.Operation
	for _, each := range all {
		history = append(history, each.did...)
	}
	result, told := porcupine.CheckOperationsVerbose(model, history, 5*time.Minute)
	if result == porcupine.Illegal && *page != "" {
		if err := porcupine.VisualizePath(model, told, *page); err != nil {
			log.Print(err)
		}
	}
	if result == porcupine.Ok && !inOrder(history) {
		result = "Illegal: a later write has an earlier revision"
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"result": result, "answered": answers.Load(), "unknown": unknowns.Load()})
}
