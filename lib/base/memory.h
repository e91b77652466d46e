#pragma once

// How the process keeps memory that tensors have given back.
namespace cachectl::memory {

// One pool for all threads, which keeps up to 1 GiB for the next step instead of handing pages
// back and having the kernel clear new ones. For tools that do one step again and again; a
// collection took three times the memory with it. Call it before other threads start.
void keep_freed();

}  // namespace cachectl::memory
