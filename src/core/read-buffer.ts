/**
 * Where the bytes of connections are read into, of all of them: whoever is given them has looked at them, and copied what has to stay, before
 * the next read. Node would set 64 KiB aside for each read, and leave it to the garbage collector.
 */
export const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
