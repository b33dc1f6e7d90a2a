# SPDX-License-Identifier: BSD-3-Clause
# What everything that is installed is built with, in every build: what was tested is what is shipped.

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# daxsync_shipped(TARGET [FORTIFY]): hardened, and the same bytes wherever the sources and the build are.
#
# FORTIFY is for the launcher only. In another's process a failed check of libc's would print by itself, allocate, and end
# the program; and the checked functions (__read_chk and so on) are among those that the shim stands for, so the library
# would call its own hooks. A stack protector calls libc only when the stack is overwritten already.
function(daxsync_shipped target)
  target_compile_options(${target} PRIVATE -fstack-protector-strong
                         -ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${PROJECT_BINARY_DIR}=build
                         -U_FORTIFY_SOURCE)
  if("FORTIFY" IN_LIST ARGN) # which does nothing but warn where nothing is optimised
    target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  endif()
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "OBJECT|STATIC")
    target_link_options(${target} PRIVATE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
    # The number of a build is made from all of it, and the search path for the build's own libraries is in it.
    set_target_properties(${target} PROPERTIES BUILD_RPATH_USE_ORIGIN ON)
  endif()
endfunction()
