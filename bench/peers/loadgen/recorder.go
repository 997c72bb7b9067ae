package main

import (
	"slices"
	"sync"
	"sync/atomic"

	"qianmen/bench/peers/wire"
)

// recorder keeps what happened inside the window. A thing belongs to it by the time at which it was complete.
type recorder struct {
	startNs, endNs atomic.Int64

	mu          sync.Mutex
	requests    int
	contents    int
	errors      int
	samples     []string
	latencies   []int64
	firstTokens []int64
	delays      []int64
}

func (r *recorder) begin() int64 {
	now := wire.Nanotime()
	r.startNs.Store(now)
	return now
}

func (r *recorder) end() int64 {
	now := wire.Nanotime()
	r.endNs.Store(now)
	return now
}

func (r *recorder) inWindow(atNs int64) bool {
	start, end := r.startNs.Load(), r.endNs.Load()
	return start > 0 && atNs >= start && (end == 0 || atNs < end)
}

func (r *recorder) whole(atNs, latencyNs int64) {
	if !r.inWindow(atNs) {
		return
	}
	r.mu.Lock()
	r.requests++
	r.latencies = append(r.latencies, latencyNs)
	r.mu.Unlock()
}

func (r *recorder) stream(atNs, ttftNs int64) {
	if !r.inWindow(atNs) {
		return
	}
	r.mu.Lock()
	r.requests++
	r.firstTokens = append(r.firstTokens, ttftNs)
	r.mu.Unlock()
}

func (r *recorder) chunk(atNs, delayNs int64) {
	if !r.inWindow(atNs) {
		return
	}
	r.mu.Lock()
	r.contents++
	r.delays = append(r.delays, delayNs)
	r.mu.Unlock()
}

func (r *recorder) chunks(atNs, count int64) {
	if !r.inWindow(atNs) {
		return
	}
	r.mu.Lock()
	r.contents += int(count)
	r.mu.Unlock()
}

// failed counts from the beginning of the warm-up on: a gateway has no licence to fail there either.
func (r *recorder) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors++
	if len(r.samples) < 3 {
		r.samples = append(r.samples, err.Error())
	}
}

func (r *recorder) result(windowS float64) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &Result{
		WindowS:      windowS,
		Requests:     r.requests,
		Errors:       r.errors,
		ErrorSamples: r.samples,
		PerSecond:    float64(r.requests) / windowS,
		Latency:      percentiles(r.latencies),
		Ttft:         percentiles(r.firstTokens),
		ChunkDelay:   percentiles(r.delays),
		Chunks:       r.contents,
		ChunksPerS:   float64(r.contents) / windowS,
	}
}

// Percentiles of a duration, in microseconds.
type Percentiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

func percentiles(ns []int64) *Percentiles {
	if len(ns) == 0 {
		return nil
	}
	slices.Sort(ns)
	at := func(q float64) float64 { return float64(ns[min(len(ns)-1, int(q*float64(len(ns))))]) / 1000 }
	return &Percentiles{Count: len(ns), P50: at(0.5), P90: at(0.9), P99: at(0.99), Max: float64(ns[len(ns)-1]) / 1000}
}
