// A tar archive (POSIX ustar) of some files of one directory.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::commands {

// Writes `names` of `directory` into the new file `archive`, each below `prefix` (at most 150 bytes with its name, as
// of "ke/projects.jsonl" "ke"), readable by its owner only. What is longer than 8 GiB has its length as GNU tar writes
// it. FAILED_PRECONDITION / CANNOT_WRITE.
Status WriteTar(const std::filesystem::path& archive, const std::filesystem::path& directory, const std::string& prefix,
                const std::vector<std::string>& names);

}  // namespace allod::cli::commands
