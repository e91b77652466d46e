# oneDNN itself, for convolutions that keep their kernels (lib/model/convolution.cpp). Only
# where LibTorch uses the system's shared library, so that there is one of it in the process:
# Debian's LibTorch 1.13 does; the 2.x downloads have their own inside.
option(CACHECTL_ONEDNN "call oneDNN directly where LibTorch shares it" ON)
set(CACHECTL_HAVE_ONEDNN FALSE)
if(CACHECTL_ONEDNN AND Torch_VERSION VERSION_LESS 2)
  find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
  find_library(DNNL_LIBRARY dnnl)
  if(DNNL_INCLUDE_DIR AND DNNL_LIBRARY)
    set(CACHECTL_HAVE_ONEDNN TRUE)
  else()
    message(STATUS "no libdnnl-dev: convolutions run by LibTorch's own kernels")
  endif()
endif()
