# Shell tests, one line each: file, processors, labels, timeout in seconds.
