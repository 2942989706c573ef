// Makes the directories of an installation and gives each to whom it belongs; brings those of an older `allod up`,
// where everything was root's, into this shape. By descriptor, and never through a link
// (services/common/private_files.h).
//
//   DIR/           0711 root
//     config/      0711 root         one file per process, readable by it alone
//     secrets/     0711 root         passwords and the pepper, each readable by whom needs it
//     run/         0711 root
//       SERVICE/   2710 the service  its socket, for the group of its clients
//       workers/   2710 root         sockets of workers, for the gateway
//     postgres/    0711 root         data/ 0700 and run/ 2710 are PostgreSQL's
//     redis/       2710 redis
//     artifacts/   3770 root         shared by catalog and node; nobody removes or replaces a file of the other
//     journal/     0700 the gateway
//     usage/ keys/ logs/  0700 root
//
// For another user than root all of it is that user's, and closed to all others.
#pragma once

#include <string>

#include "cli/installation/state_dir.h"
#include "cli/supervisor/service_users.h"
#include "services/common/private_files.h"
#include "services/common/result.h"

namespace allod::cli::supervisor {

// DIR itself, if it is not there. FAILED_PRECONDITION / UNSAFE_PATH when it or a parent is somebody else's or may be
// written by others; STATE_NOT_WRITABLE.
Status MakeRoot(const installation::StateDir& state);

// All of it. Call with the installation's lock held. FAILED_PRECONDITION / UNSAFE_PATH names what belongs to somebody
// else or is a link; STATE_NOT_WRITABLE.
Status MakeLayout(const installation::StateDir& state, const ServiceUsers& users);

// A file in a directory of the installation that is for one process alone (none: for the installation's owner alone).
Status WritePrivate(const installation::StateDir& state, const std::string& directory, const std::string& name,
                    const std::string& content, const ServiceUsers& users, const std::string& reader);

// Makes secrets/NAME with 32 random bytes in hexadecimal unless it is there, and lets `group` read it (0: nobody else).
Status EnsureSecret(const installation::StateDir& state, const ServiceUsers& users, const std::string& name,
                    gid_t group);

}  // namespace allod::cli::supervisor
