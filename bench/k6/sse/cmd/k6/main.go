// k6 with k6/x/sse built in.
package main

import (
	"go.k6.io/k6/cmd"

	_ "qianmen/k6sse"
)

func main() {
	cmd.Execute()
}
