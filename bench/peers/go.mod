module qianmen/bench/peers

go 1.24
