// The load generator. One scenario per run, one JSON object on standard output.
//
//	closed  N connections, each sends its next request when the last reply is complete
//	open    requests at a fixed rate; latency counts from the time at which each was due
//	stream  N connections with one streamed reply after another, as fast as they come
//	paced   N connections with streams whose chunks carry the time at which the upstream sent them
//
// Every reply is checked: status, the nonce of its own request or each chunk's number, the end. What fails the check
// counts as an error and never as a request.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

type options struct {
	url            string
	model          string
	headers        headerFlags
	mode           string
	connections    int
	ratePerSecond  int
	warmup, window time.Duration
	contentBytes   int
	messages       int
	chunks         int
	intervalUs     int
	burst          int
	watch          watchFlags
}

func main() {
	debug.SetGCPercent(400)
	var o options
	flag.StringVar(&o.url, "url", "", "http://127.0.0.1:PORT/v1/chat/completions")
	flag.StringVar(&o.model, "model", "bench", "model name to ask for")
	flag.Var(&o.headers, "header", "name: value; may be repeated")
	flag.StringVar(&o.mode, "mode", "closed", "closed, open, stream or paced")
	flag.IntVar(&o.connections, "connections", 32, "")
	flag.IntVar(&o.ratePerSecond, "rate", 200, "requests per second in mode open")
	flag.DurationVar(&o.warmup, "warmup", time.Second, "not measured")
	flag.DurationVar(&o.window, "window", 5*time.Second, "measured")
	flag.IntVar(&o.contentBytes, "content", 700, "bytes of message text")
	flag.IntVar(&o.messages, "messages", 1, "over which the text is spread")
	flag.IntVar(&o.chunks, "chunks", 100, "per stream")
	flag.IntVar(&o.intervalUs, "interval-us", 20_000, "between two writes of the upstream in mode paced")
	flag.IntVar(&o.burst, "burst", 1, "chunks per write of the upstream")
	flag.Var(&o.watch, "watch", "name=pid,pid: whose CPU time and memory to report; may be repeated")
	flag.Parse()
	log.SetFlags(0)
	if o.connections < 1 || o.window > 10*time.Minute {
		log.Fatal("out of bounds")
	}

	// One thread, so that nothing spins beside it; another where one sleeps until the next request is due.
	runtime.GOMAXPROCS(1)
	if o.mode == "open" {
		runtime.GOMAXPROCS(2)
	}
	result, err := run(o)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}

type headerFlags []string

func (h *headerFlags) String() string     { return strings.Join(*h, "\n") }
func (h *headerFlags) Set(s string) error { *h = append(*h, s); return nil }
