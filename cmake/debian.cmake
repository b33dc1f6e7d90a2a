# SPDX-License-Identifier: BSD-3-Clause
# Three Debian packages, by CPack in a build with the preset `package`. They are the same bytes wherever and whenever they are
# built, with the umask 022.
#
# libdaxsync0      the library, the shim and the emulator. The shim and the emulator use private symbols of the library of
#                  the same release, and the library loads the emulator for any program that asks for emulation, with the
#                  launcher or without. Every file has the soname's version in its name, so that a later libdaxsync1 can
#                  stand beside it.
# libdaxsync-dev   what a program is built with
# daxsync          the launcher, which puts the shim of this very version into programs

set(DAXSYNC_MAINTAINER "daxsync authors <daxsync@example.org>" CACHE STRING
    "Who answers for the Debian packages: NAME <ADDRESS>")
set(revision 0daxsync1) # before a 1 of Debian's own
set(version "${PROJECT_VERSION}-${revision}")

# The time in the packages is that of the last commit, or of the last change to CHANGELOG.md where there is no git.
set(epoch "$ENV{SOURCE_DATE_EPOCH}")
if(NOT epoch)
  execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 --format=%ct OUTPUT_VARIABLE epoch ERROR_QUIET
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT epoch)
  file(TIMESTAMP ${PROJECT_SOURCE_DIR}/CHANGELOG.md epoch "%s" UTC)
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/epoch.cmake CONTENT "set(ENV{SOURCE_DATE_EPOCH} ${epoch})\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E env LC_ALL=C date -u -d @${epoch} "+%a, %d %b %Y %H:%M:%S +0000"
                OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

set(debian ${PROJECT_BINARY_DIR}/debian)
configure_file(cmake/debian/changelog.in ${debian}/changelog @ONLY)
execute_process(COMMAND gzip -9nc ${debian}/changelog OUTPUT_FILE ${debian}/changelog.Debian.gz
                COMMAND_ERROR_IS_FATAL ANY)

foreach(component library development launcher)
  if(component STREQUAL library)
    set(package libdaxsync0)
  elseif(component STREQUAL development)
    set(package libdaxsync-dev)
  else()
    set(package daxsync)
  endif()
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/debian/copyright ${debian}/changelog.Debian.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
  if(EXISTS ${PROJECT_SOURCE_DIR}/cmake/debian/${package}.overrides)
    install(FILES ${PROJECT_SOURCE_DIR}/cmake/debian/${package}.overrides RENAME ${package}
            DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endforeach()
# CMake strips programs and shared libraries only.
install(CODE "if(CMAKE_INSTALL_DO_STRIP)
  execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug --enable-deterministic-archives
    \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libdaxsync.a\" COMMAND_ERROR_IS_FATAL ANY)
endif()" COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${DAXSYNC_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_BINARY_DIR}/epoch.cmake)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL library development launcher)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${revision})
set(CPACK_DEBIAN_PACKAGE_SOURCE daxsync)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})

set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
# The trigger is Debian's way to have ldconfig run. CPack writes scripts for that, unless scripts are named; those that are
# not there it leaves out.
file(WRITE ${debian}/triggers "activate-noawait ldconfig\n")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${debian}/triggers ${debian}/postinst ${debian}/postrm)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# Loaded when a program begins: without it nothing is flushed, and all is left to the kernel.
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS libpmem2)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS libunwind8) # stacks in reports
set(CPACK_DEBIAN_LIBRARY_DESCRIPTION "syncs of files on persistent memory in user space (library)
daxsync makes msync and fsync of memory-mapped files on persistent memory
(DAX) work in user space: it knows which pages a program has stored to,
flushes these, executes one fence, and returns.

This package has the library, the shim that serves unmodified programs, and
the emulator for tests without persistent memory.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libdaxsync0 (= ${version})")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "syncs of files on persistent memory in user space (development)
daxsync makes msync and fsync of memory-mapped files on persistent memory
(DAX) work in user space: it knows which pages a program has stored to,
flushes these, executes one fence, and returns.

This package has the header, the static library, the files for pkg-config
and CMake, and the manual pages of the functions.")

set(CPACK_DEBIAN_LAUNCHER_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_LAUNCHER_PACKAGE_DEPENDS "libdaxsync0 (= ${version})")
set(CPACK_DEBIAN_LAUNCHER_PACKAGE_SUGGESTS "gnuplot-nox | gnuplot") # daxsync plot
set(CPACK_DEBIAN_LAUNCHER_DESCRIPTION "syncs of files on persistent memory in user space
daxsync makes msync and fsync of memory-mapped files on persistent memory
(DAX) work in user space: it knows which pages a program has stored to,
flushes these, executes one fence, and returns.

This package has the launcher, which runs unmodified programs under it,
checks what a machine, a file or a program can do, and emulates persistent
memory and power cuts for tests.")
include(CPack)
