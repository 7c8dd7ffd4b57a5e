# Compiler flags, in one interface target, and the flags of the files that are compiled for one instruction set level.
add_library(leaveout_options INTERFACE)
target_compile_definitions(leaveout_options INTERFACE _GNU_SOURCE LEAVEOUT_VERSION="${PROJECT_VERSION}")
target_compile_options(leaveout_options INTERFACE
  -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wconversion -Wno-sign-conversion
  # Paths are joined into PATH_MAX buffers; the lengths of their parts are checked once, where they enter.
  $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
  -fno-math-errno -fno-trapping-math)
target_link_libraries(leaveout_options INTERFACE m)
if(LEAVEOUT_WERROR)
  target_compile_options(leaveout_options INTERFACE -Werror)
endif()
if(LEAVEOUT_SANITIZE)
  target_compile_options(leaveout_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(leaveout_options INTERFACE -fsanitize=address,undefined)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O3 -g -DNDEBUG")

# A file named *_avx2.c, *_avx512.c, *_avx512bf16.c or *_amx.c holds kernels for that level, chosen at run time; everything else
# is plain. On other architectures these files compile to nothing, and those of AMX where the compiler does not know it (GCC
# before 11).
include(CheckCCompilerFlag)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  check_c_compiler_flag("-mamx-tile -mamx-bf16" LEAVEOUT_AMX)
  if(LEAVEOUT_AMX)
    target_compile_definitions(leaveout_options INTERFACE LEAVEOUT_AMX)
  endif()
endif()
function(leaveout_isa_flags)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    return()
  endif()
  foreach(file IN LISTS ARGN)
    if(file MATCHES "_avx2\\.c$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mbmi2;-mpopcnt")
    elseif(file MATCHES "_avx512\\.c$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mbmi2;-mpopcnt;-mprefer-vector-width=512")
    elseif(file MATCHES "_avx512bf16\\.c$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mavx2;-mfma;-mbmi2;-mpopcnt;-mprefer-vector-width=512")
    elseif(file MATCHES "_amx\\.c$" AND LEAVEOUT_AMX)
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512bf16;-mavx2;-mfma;-mbmi2;-mpopcnt;-mprefer-vector-width=512;-mamx-tile;-mamx-bf16")
    endif()
  endforeach()
endfunction()
