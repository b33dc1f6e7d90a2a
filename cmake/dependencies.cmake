# SPDX-License-Identifier: BSD-3-Clause
# What the build needs. A missing one is one line that names the Debian package.

find_package(Threads REQUIRED)

function(daxsync_need_header var header package)
  find_path(${var} ${header})
  if(NOT ${var})
    message(FATAL_ERROR "daxsync: ${header} not found: install the Debian package ${package}")
  endif()
endfunction()

function(daxsync_need_library var name package)
  find_library(${var} NAMES ${name})
  if(NOT ${var})
    message(FATAL_ERROR "daxsync: ${name} not found: install the Debian package ${package}")
  endif()
endfunction()

# Headers only: both libraries are loaded on demand at run time.
daxsync_need_header(PMEM2_INCLUDE libpmem2.h libpmem2-dev)
daxsync_need_header(UNWIND_INCLUDE libunwind.h libunwind-dev)
# The position-independent archive, so that the allocator stays private to the preload library.
daxsync_need_library(JEMALLOC_PIC libjemalloc_pic.a libjemalloc-dev)
