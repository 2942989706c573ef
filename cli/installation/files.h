// Reading and writing the files of an installation and those that an operator names.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "services/common/result.h"

namespace allod::cli::installation {

// Whole file, at most 16 MiB. NOT_FOUND; INVALID_ARGUMENT / NOT_A_FILE, FILE_TOO_LARGE.
Result<std::string> ReadFile(const std::filesystem::path& path);
// The same without line breaks and blanks at its end: a password or a key.
Result<std::string> ReadSecret(const std::filesystem::path& path);
// The same of a JSON object that this installation wrote. INTERNAL when it is none.
Result<nlohmann::json> ReadJson(const std::filesystem::path& path);
// INTERNAL: what stands in it is not what this installation writes.
std::unexpected<Error> Damaged(const std::filesystem::path& path);

// Replaces the file atomically with mode 0600; never writes through a link. FAILED_PRECONDITION / CANNOT_WRITE.
Status WriteFile(const std::filesystem::path& path, const std::string& content);

}  // namespace allod::cli::installation
