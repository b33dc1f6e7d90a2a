# SPDX-License-Identifier: BSD-3-Clause
# What a program needs that is built with an installed daxsync: the files of pkg-config and of CMake.

include(CMakePackageConfigHelpers)

# Relative to where the file lies, so that a tree can be moved.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/daxsync)
install(EXPORT daxsync NAMESPACE daxsync:: FILE daxsyncTargets.cmake DESTINATION ${package_dir} COMPONENT development)
configure_package_config_file(cmake/daxsyncConfig.cmake.in ${PROJECT_BINARY_DIR}/daxsyncConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# Until 1.0 each minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/daxsyncConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/daxsyncConfig.cmake ${PROJECT_BINARY_DIR}/daxsyncConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT development)

foreach(name daxsync daxsync-preload)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endforeach()
