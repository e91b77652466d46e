# cachectl_library(NAME SOURCES ... LINKS ... PRIVATE_LINKS ...)
#
# One static library per folder of lib/. Its headers are reached as "NAME/x.h",
# and only by targets that link it: each library has an include root of its own
# in the build folder, so an include against the order of the layers does not build.
function(cachectl_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  set(root ${PROJECT_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${root}/${name} SYMBOLIC)
  add_library(cachectl_${name} STATIC ${ARG_SOURCES})
  target_include_directories(cachectl_${name} PUBLIC
    $<BUILD_INTERFACE:${root}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/cachectl>)
  target_link_libraries(cachectl_${name} PUBLIC ${ARG_LINKS} PRIVATE ${ARG_PRIVATE_LINKS})
endfunction()

# LibTorch as a system library. Include its narrow headers (ATen/ATen.h: 3 s a
# file), not torch/torch.h (8 s), and ATen/core/Tensor.h (1 s) from headers.
add_library(cachectl_torch INTERFACE)
target_link_libraries(cachectl_torch INTERFACE ${TORCH_LIBRARIES})
target_include_directories(cachectl_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
separate_arguments(torch_flags UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(cachectl_torch INTERFACE ${torch_flags})

add_custom_target(unit-tests)

# cachectl_test(NAME LABELS ... SOURCES ... LINKS ...): one GoogleTest executable.
function(cachectl_test name)
  cmake_parse_arguments(ARG "" "" "LABELS;SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gmock_main)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  if(unit IN_LIST ARG_LABELS)
    add_dependencies(unit-tests ${name})
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  # Without it, tests see the variable of whoever runs them (make test DATA=folder).
  set(data)
  if(CACHECTL_DATA)
    set(data ENVIRONMENT "CACHECTL_DATA=${CACHECTL_DATA}")
  endif()
  if(CACHECTL_SANITIZE)
    # One process for all cases: under a sanitizer, starting LibTorch costs seconds.
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 1500 ${data})
    return()
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 600 PROPERTIES LABELS "${ARG_LABELS}" ${data})
endfunction()

# cachectl_app(VERB LINKS ...): apps/cachectl-VERB.cpp -> bin/cachectl-VERB.
function(cachectl_app verb)
  cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
  add_executable(cachectl-${verb} cachectl-${verb}.cpp)
  target_link_libraries(cachectl-${verb} PRIVATE cachectl_app ${ARG_LINKS})
endfunction()
