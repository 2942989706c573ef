// Which user each process of an installation runs as, and which groups let it reach what is another's.
//
// When root starts it, every process but the node agent has a user of its own: a number, with no entry in /etc/passwd,
// from a block of 64 that begins at `first` (`allod up --service-uids`). The default lies above what distributions,
// systemd and container runtimes hand out and far above the blocks of 1024 that the node agent hands to models and jobs
// (first_uid in its configuration). PostgreSQL needs an entry, so it is the user `postgres` of Debian's package, else
// `nobody`. The node agent stays uid 0 with the few capabilities of kNodeCapabilities, because it makes namespaces and
// gives users away.
//
// A group stands for one thing that is reached, not for a process: the socket of a service (its clients), the
// artifacts, the pepper of the API keys. Who does not need a thing is not in its group.
//
// For everybody else than root all processes are the caller's, and files are closed to all others by their modes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::supervisor {

inline constexpr std::uint32_t kServiceUidsFirst = 0x7f000000;  // 2130706432
inline constexpr std::uint32_t kServiceUids = 64;
// As inference/node/config.h has it.
inline constexpr std::uint32_t kWorkerUidsFirst = 0x70000000;

struct ServiceUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};
  std::string name = {};
};

// What the node agent keeps, as capability numbers: to give users away (SETUID, SETGID, SETPCAP), to make namespaces
// and empty roots where user namespaces are not allowed (SYS_ADMIN, SYS_CHROOT), to end what it started (KILL), and to
// reach programs below a closed home directory (DAC_READ_SEARCH).
const std::vector<int>& NodeCapabilities();

class ServiceUsers {
 public:
  // For this process's user. INVALID_ARGUMENT / INVALID_UIDS when the block meets those of the system or of workers.
  static Result<ServiceUsers> Make(std::uint32_t first);

  // Whether processes have users of their own.
  bool separate() const { return separate_; }
  // Of "tenancy", "catalog", "billing", "scheduling", "node", "gateway", "redis", "postgres"; nothing: the caller's.
  std::optional<ServiceUser> Of(const std::string& process) const;
  // Numbers of the processes that may call a service, beside root's and its own.
  std::vector<uid_t> Callers(const std::string& service) const;

  // Groups; 0 where processes have no users of their own.
  gid_t ClientsOf(const std::string& server) const;  // a service, "redis", "postgres" or "workers"
  gid_t artifacts() const;
  gid_t pepper() const;

 private:
  ServiceUsers(bool separate, std::uint32_t first) : separate_(separate), first_(first) {}
  bool separate_;
  std::uint32_t first_;
};

}  // namespace allod::cli::supervisor
