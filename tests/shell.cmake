# Shell tests, one line each: file, processors, labels, timeout in seconds.
add_shell_test(oracle/test_label_noise.sh 2 oracle 1200)
add_shell_test(oracle/test_study_numpy.sh 2 oracle 180)
add_shell_test(oracle/test_attribution.sh 2 oracle 180)
add_shell_test(oracle/test_data_files.sh 1 oracle 120)
add_shell_test(oracle/test_bf16_scores.sh 2 "oracle;slow" 1200)
add_shell_test(io/test_commands.sh 1 io 120)
add_shell_test(io/test_data_formats.sh 2 io 180)
add_shell_test(fault/test_same_bits.sh 2 fault 240)
add_shell_test(fault/test_join.sh 2 fault 240)
add_shell_test(fault/test_kill.sh 2 fault 300)
# The same at 50 random instants.
add_test(NAME fault.test_kill_50 COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/fault/test_kill.sh 50 1)
set_tests_properties(fault.test_kill_50 PROPERTIES LABELS "fault;slow" TIMEOUT 1800 PROCESSORS 2
  ENVIRONMENT "${test_environment}")

# Under Slurm, on a cluster of four nodes that each of these starts and stops.
add_shell_test(slurm/submit.sh 2 slurm 280)
add_shell_test(slurm/stop.sh 2 slurm 280)
add_shell_test(slurm/step_dies.sh 2 slurm 280)
add_shell_test(slurm/node_lost.sh 2 slurm 400)
add_shell_test(slurm/claims.sh 2 slurm 200)
add_shell_test(slurm/other_hosts.sh 2 "slurm;slow" 600)
add_test(NAME slurm.head_node_lost COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/slurm/node_lost.sh head)
set_tests_properties(slurm.head_node_lost PROPERTIES LABELS "slurm;slow" TIMEOUT 400 PROCESSORS 2 SKIP_RETURN_CODE 77
  ENVIRONMENT "${test_environment}" WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
set_tests_properties(slurm.submit slurm.stop slurm.step_dies slurm.node_lost slurm.claims slurm.other_hosts
  slurm.head_node_lost PROPERTIES RESOURCE_LOCK slurm)
add_shell_test(bench/claims.sh 2 "bench;mpi" 120)
add_shell_test(fault/test_stop.sh 2 fault 300)
add_shell_test(fault/test_long.sh 2 fault 300)
add_shell_test(fault/test_give_up.sh 2 fault 300)
add_shell_test(io/test_full_disk.sh 2 io 300)
add_shell_test(fault/test_silent.sh 2 fault 200)
add_shell_test(io/test_damage.sh 2 io 300)
add_shell_test(fault/test_diverged.sh 2 fault 120)
add_shell_test(io/test_bad_input.sh 1 io 120)
add_shell_test(unit/test_structure.sh 1 unit 120)
add_shell_test(io/test_image_folder.sh 2 io 120)
add_shell_test(oracle/test_image_folder.sh 2 oracle 120)

# The numbers against the peers, and the accuracy of cnn: long, and meant for a quiet machine.
add_shell_test(bench/contrast_against_numpy.sh 2 "bench;slow" 900)
add_shell_test(bench/train_against_pytorch.sh 2 "bench;slow" 900)
add_shell_test(bench/sizes_against_pytorch.sh 2 "bench;slow" 2400)
add_shell_test(bench/two_at_once.sh 2 "bench;slow" 900)
add_shell_test(bench/farm_overhead.sh 2 "bench;slow" 1800)
add_shell_test(bench/log_overhead.sh 1 "bench;slow" 600)
add_test(NAME oracle.test_accuracy_slow COMMAND test_accuracy)
set_tests_properties(oracle.test_accuracy_slow PROPERTIES LABELS "oracle;slow" TIMEOUT 600
  ENVIRONMENT "${test_environment};LEAVEOUT_SLOW=1" WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
add_shell_test(io/test_weights.sh 2 io 120)
add_shell_test(io/test_originals.sh 2 io 240)
add_shell_test(oracle/test_weights_torch.sh 1 oracle 300)
