# cachectl_add_scripts(GROUP TIMEOUT seconds): a test GROUP.NAME for each NAME.sh of this folder
# but support.sh. Exit status 77 is a skip.
function(cachectl_add_scripts group)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "")
  file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.sh)
  foreach(script IN LISTS scripts)
    get_filename_component(name ${script} NAME_WE)
    if(name STREQUAL support)
      continue()
    endif()
    add_test(NAME ${group}.${name} COMMAND bash ${script})
    set_tests_properties(${group}.${name} PROPERTIES LABELS ${group} SKIP_RETURN_CODE 77
      TIMEOUT ${arg_TIMEOUT}
      ENVIRONMENT "CACHECTL_BIN=${PROJECT_BINARY_DIR}/bin;CACHECTL_BUILD=${PROJECT_BINARY_DIR}")
  endforeach()
endfunction()
