#pragma once

// What the operating system says of this process. 0 where it says nothing.
namespace cachectl::serve {

double resident_bytes();
double open_descriptors();
double cpu_seconds();
double start_time();  // of the process's first call here, seconds since 1970

// As many open files as the hard limit allows.
void raise_descriptor_limit();

}  // namespace cachectl::serve
