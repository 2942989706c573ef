// Where `allod login` keeps who is signed in: a file of the person's own, not of the installation's.
#pragma once

#include <filesystem>
#include <string>

#include "services/common/clock.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct SavedSession {
  std::string gateway;  // "https://allod.example"
  std::string token;
  Time expire_time;
};

// $ALLOD_SESSION, else allod/session.json in $XDG_CONFIG_HOME or ~/.config. FAILED_PRECONDITION / NO_HOME.
Result<std::filesystem::path> SessionFile();
// Readable by its owner only.
Status SaveSession(const SavedSession& session);
// UNAUTHENTICATED / NOT_SIGNED_IN, SESSION_EXPIRED.
Result<SavedSession> LoadSession(Time now);
// Nothing happens if there is none.
Status ForgetSession();

}  // namespace allod::cli::commands
