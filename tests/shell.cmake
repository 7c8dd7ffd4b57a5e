# Shell tests, one line each: file, processors, labels, timeout in seconds.
add_shell_test(oracle/test_label_noise.sh 2 oracle 1200)
add_shell_test(fault/test_same_bits.sh 2 fault 240)
add_shell_test(fault/test_join.sh 2 fault 240)
add_shell_test(fault/test_kill.sh 2 fault 300)
# The same at 50 random instants.
add_test(NAME fault.test_kill_50 COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/fault/test_kill.sh 50 1)
set_tests_properties(fault.test_kill_50 PROPERTIES LABELS "fault;slow" TIMEOUT 1800 PROCESSORS 2
  ENVIRONMENT "${test_environment}")
