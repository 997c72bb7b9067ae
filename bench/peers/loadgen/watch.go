package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// watchFlags names groups of processes, such as a gateway with its workers.
type watchFlags map[string][]int

func (w *watchFlags) String() string { return fmt.Sprint(*w) }

func (w *watchFlags) Set(given string) error {
	name, list, ok := strings.Cut(given, "=")
	if !ok {
		return fmt.Errorf("%q is not name=pid,pid", given)
	}
	if *w == nil {
		*w = watchFlags{}
	}
	for _, pid := range strings.Split(list, ",") {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		(*w)[name] = append((*w)[name], n)
	}
	return nil
}

// ticksPerSecond is USER_HZ, which is 100 wherever Linux runs.
const ticksPerSecond = 100

// cpuS is the user and system time of each group and of this process ("self"), with children that they waited for.
func (w watchFlags) cpuS() map[string]float64 {
	seconds := map[string]float64{"self": cpuOf(os.Getpid())}
	for name, pids := range w {
		for _, pid := range pids {
			seconds[name] += cpuOf(pid)
		}
	}
	return seconds
}

func cpuOf(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name may hold spaces and parentheses; what follows its last one is field 3.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	ticks := 0
	for _, field := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(string(field))
		ticks += n
	}
	return float64(ticks) / ticksPerSecond
}

// rssBytes is the resident memory of each group; pages that processes share count once for each.
func (w watchFlags) rssBytes() map[string]int64 {
	sizes := map[string]int64{}
	for name, pids := range w {
		for _, pid := range pids {
			statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
			if err != nil {
				continue
			}
			pages, _ := strconv.ParseInt(string(bytes.Fields(statm)[1]), 10, 64)
			sizes[name] += pages * int64(os.Getpagesize())
		}
	}
	return sizes
}
