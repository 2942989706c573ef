// Takes over a journal of before version 2, whose slots are shorter.
//
// What waits in it is copied byte for byte into a file of the new format beside it, which is on disk before it takes
// the old one's name, in one step. So whenever this process or the machine dies, there is one journal, with everything
// in it: what was copied half is begun anew. No slot is settled out of both.
#pragma once

#include <filesystem>

#include "gateway/metering/journal_slot.h"
#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::gateway::metering {

// `old_fd` is the locked journal, `head` its head. The file that took its place, locked as well before it did.
// FAILED_PRECONDITION / JOURNAL_TOO_NEW; INTERNAL / JOURNAL_IO.
Result<OwnedFd> UpgradeJournal(int old_fd, const JournalFileHead& head, const std::filesystem::path& file);

std::unexpected<Error> JournalIoFailure(const std::filesystem::path& file, const char* what);  // by errno
std::unexpected<Error> JournalTooNew(const std::string& what, std::uint32_t version);

}  // namespace allod::gateway::metering
