// DIR/allod.lock, by which everybody knows whether an installation is up: held by the process that supervises it, by
// flock(2), so that the kernel lets go of it however that process ends. Its content is the holder's process id.
#pragma once

#include <string>

#include "cli/installation/state_dir.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::cli::installation {

class Lock {
 public:
  // Held for the life of the object, and of what is forked from this process. FAILED_PRECONDITION / ALREADY_UP names
  // the holder; STATE_NOT_WRITABLE.
  static Result<Lock> Take(const StateDir& state);
  // Says in the file who holds it: this process. FAILED_PRECONDITION / STATE_NOT_WRITABLE.
  Status Sign() const;

 private:
  Lock(StateDir state, OwnedFd file) : state_(std::move(state)), file_(std::move(file)) {}
  StateDir state_;
  OwnedFd file_;
};

// What was said of the installation that is meant, and of who asks.
struct Given {
  std::string dir;  // --state
  std::string as;   // --as: "support" or "auditor"; empty: the operator
};
// The installation that `--state` names (StateDir::Resolve). FAILED_PRECONDITION / NOT_UP when nobody holds its lock;
// PERMISSION_DENIED / NOT_OPERATOR when that cannot be known, because it is somebody else's. With a role: the one with
// its socket; FAILED_PRECONDITION / NO_ROLE_SOCKET when there is none, PERMISSION_DENIED / NOT_IN_GROUP when it is not
// for this user.
Result<StateDir> FindRunning(const Given& given);

// The process that supervises an installation which is up, by a pidfd that means no other process even after its end.
struct Holder {
  int pid = 0;
  OwnedFd pidfd;
};
// FAILED_PRECONDITION / NOT_UP when it is gone by now; INTERNAL when the file names none.
Result<Holder> FindHolder(const StateDir& state);

}  // namespace allod::cli::installation
