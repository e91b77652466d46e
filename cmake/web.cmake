# Pages (web/): bundled by esbuild into one HTML file each and compiled into the executables.
find_program(NODE_EXECUTABLE NAMES node nodejs)
find_program(NPM_EXECUTABLE npm)
if(NOT NODE_EXECUTABLE OR NOT NPM_EXECUTABLE)
  message(FATAL_ERROR "node and npm build the report's page, and were not found: "
                      "run 'make setup' (on Debian: apt-get install nodejs npm)")
endif()

set(WEB_DIR ${PROJECT_SOURCE_DIR}/web)
# `make setup` has fetched them already; here for a clone without it, and after an update.
add_custom_command(
  OUTPUT ${WEB_DIR}/node_modules/.package-lock.json
  COMMAND ${NPM_EXECUTABLE} ci --no-progress --loglevel=error
  COMMAND ${CMAKE_COMMAND} -E touch ${WEB_DIR}/node_modules/.package-lock.json
  DEPENDS ${WEB_DIR}/package.json ${WEB_DIR}/package-lock.json
  WORKING_DIRECTORY ${WEB_DIR}
  COMMENT "Fetching the pages' packages (web/package-lock.json)" VERBATIM)
# A target, since the rule above is known in this folder alone.
add_custom_target(web-packages DEPENDS ${WEB_DIR}/node_modules/.package-lock.json)

# cachectl_page(NAME OUT): bundles web/NAME; OUT is the source that defines
# std::string_view cachectl::NAME::page_template().
function(cachectl_page name out)
  file(GLOB parts CONFIGURE_DEPENDS ${WEB_DIR}/${name}/* ${WEB_DIR}/shared/*)
  set(source ${PROJECT_BINARY_DIR}/web/${name}_page.cpp)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${NODE_EXECUTABLE} ${WEB_DIR}/build.mjs ${name} ${source}
    DEPENDS ${parts} ${WEB_DIR}/build.mjs ${WEB_DIR}/package-lock.json web-packages
    COMMENT "Bundling web/${name}" VERBATIM)
  set(${out} ${source} PARENT_SCOPE)
endfunction()
