# What a program needs that embeds the engine: the runtime and all below it, their headers
# as include/cachectl/NAME/*.h, and a package for find_package(cachectl).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(CACHECTL_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/cachectl)
set(CACHECTL_EMBEDDED base io data model decision artifact runtime)

install(TARGETS cachectl_torch cachectl_hdf5 EXPORT cachectl)
foreach(name IN LISTS CACHECTL_EMBEDDED)
  set_target_properties(cachectl_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS cachectl_${name} EXPORT cachectl ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/lib/${name} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cachectl
          FILES_MATCHING PATTERN "*.h" PATTERN zoo EXCLUDE PATTERN hdf5_calls.h EXCLUDE)
endforeach()
install(EXPORT cachectl NAMESPACE cachectl:: FILE cachectl-targets.cmake
        DESTINATION ${CACHECTL_PACKAGE})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/cachectl-config.cmake.in
                              ${PROJECT_BINARY_DIR}/cachectl-config.cmake
                              INSTALL_DESTINATION ${CACHECTL_PACKAGE})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cachectl-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cachectl-config.cmake
              ${PROJECT_BINARY_DIR}/cachectl-config-version.cmake
        DESTINATION ${CACHECTL_PACKAGE})

# The tools themselves.
get_property(tools DIRECTORY ${PROJECT_SOURCE_DIR}/apps PROPERTY BUILDSYSTEM_TARGETS)
foreach(tool IN LISTS tools)
  get_target_property(type ${tool} TYPE)
  if(type STREQUAL "EXECUTABLE")
    # A LibTorch of CMAKE_PREFIX_PATH is no place that the loader looks into.
    set_target_properties(${tool} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
    install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  endif()
endforeach()
