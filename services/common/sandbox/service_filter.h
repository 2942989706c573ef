// The system calls that no service of the platform makes, as a seccomp filter: new programs and processes (threads
// yes), namespaces and mounts, other processes' memory, modules, keys, raw devices, io_uring and the like, and sockets
// of other families than Unix (and, with `network`, TCP/IP). They fail with EPERM.
//
// A deny-list, unlike a worker's: gRPC, PostgreSQL's client and HTTP use too much of the kernel for a list of what is
// allowed to survive an update of a library. Built with libseccomp.
#pragma once

namespace allod::sandbox {

// For all threads of the process, for good. Needs no_new_privs or root. Whether it took effect.
bool ApplyServiceFilter(bool network);

// For a program that only computes, from descriptors that it has to descriptors that it has: as above, and no socket of
// any family (a service takes its own user's word over a Unix socket), no signal, limit or priority for another
// process, and no memory or queue shared with one.
bool ApplyToolFilter();

}  // namespace allod::sandbox
