# Shell tests, one line each: file, processors, labels, timeout in seconds.
add_shell_test(oracle/test_label_noise.sh 2 oracle 1200)
