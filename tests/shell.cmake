# Shell tests, one line each: file, processors, labels, timeout in seconds.
add_shell_test(oracle/test_label_noise.sh 2 oracle 1200)
add_shell_test(fault/test_same_bits.sh 2 fault 240)
add_shell_test(fault/test_join.sh 2 fault 240)
