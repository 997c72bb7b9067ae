// Package wire is the little HTTP/1.1 that the fake upstream and the load generator need. Both share one core while a
// gateway has the other, so they must cost a fraction of what a gateway costs: net/http would not.
package wire

import (
	_ "unsafe" // for go:linkname
)

// Nanotime is CLOCK_MONOTONIC in nanoseconds: the same clock in every process of the machine.
//
//go:linkname Nanotime runtime.nanotime
func Nanotime() int64
