// Where a command goes, and as whom: the operator at an installation's sockets, or a person through a gateway.
#pragma once

#include <string>

#include "cli/commands/session_file.h"
#include "cli/installation/lock.h"
#include "cli/installation/state_dir.h"
#include "cli/net/services.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct Destination {
  installation::Given state;  // --state, --as
  std::string gateway;        // --gateway
  bool as_person = false;     // --as-person
  std::string project;        // --as-in
};

// The gateway that is named, without a slash at its end: --gateway, else $ALLOD_GATEWAY; empty: none is.
// INVALID_ARGUMENT / NOT_HTTPS.
Result<std::string> NamedGateway(const Destination& destination);

// Who signed in with `allod login`, to be shown at `gateway` (as NamedGateway() has it; empty: where he signed in) and
// to nobody else. UNAUTHENTICATED / NOT_SIGNED_IN, SESSION_EXPIRED; INVALID_ARGUMENT / OTHER_GATEWAY.
Result<SavedSession> SessionAt(const std::string& gateway);

// As the person who signed in with `allod login` if --gateway or --as-person says so, else as the operator of the
// installation on this machine; where none is up and none is named (--state, --as, $ALLOD_STATE), as the person, too.
// FAILED_PRECONDITION / NOT_UP;
// UNAUTHENTICATED / NOT_SIGNED_IN, SESSION_EXPIRED; INVALID_ARGUMENT / OTHER_GATEWAY for a gateway that the session is
// not at, TWO_CALLERS for a person who is to be an operator of a role as well.
Result<net::Services> FindServices(const Destination& destination);

// For what operators only do. FAILED_PRECONDITION / NOT_UP; OPERATORS_ONLY where a person was asked for.
Result<installation::StateDir> FindInstallation(const Destination& destination);

}  // namespace allod::cli::commands
