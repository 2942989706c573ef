#include "cli/installation/files.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "services/common/private_files.h"

namespace allod::cli::installation {

Result<std::string> ReadFile(const std::filesystem::path& path) {
  constexpr std::uintmax_t kBytesMax = 16 << 20;
  std::error_code ec;
  const auto type = std::filesystem::status(path, ec).type();
  if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found &&
      type != std::filesystem::file_type::none) {
    return InvalidArgument("NOT_A_FILE", fmt::format("{} is not a regular file", path.string()));
  }
  const auto size = std::filesystem::file_size(path, ec);
  if (ec) return NotFound(fmt::format("cannot read {}: {}", path.string(), ec.message()));
  if (size > kBytesMax) {
    return InvalidArgument("FILE_TOO_LARGE",
                           fmt::format("{} has {} bytes; at most {} are read", path.string(), size, kBytesMax));
  }
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in) return NotFound(fmt::format("cannot read {}", path.string()));
  return out.str();
}

Result<std::string> ReadSecret(const std::filesystem::path& path) {
  ALLOD_TRY(std::string text, ReadFile(path));
  text.erase(text.find_last_not_of(" \n") + 1);
  return text;
}

Result<nlohmann::json> ReadJson(const std::filesystem::path& path) {
  ALLOD_TRY(const std::string text, ReadFile(path));
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Damaged(path);
  return json;
}

std::unexpected<Error> Damaged(const std::filesystem::path& path) { return Internal(path.string() + " is damaged"); }

Status WriteFile(const std::filesystem::path& path, const std::string& content) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  // The directory may be anybody's (`--file /tmp/x.key`): what is made in it is new, and ours.
  const std::filesystem::path parent = std::filesystem::weakly_canonical(absolute.parent_path(), error);
  auto directory = Directory::Open(parent);
  const Status written =
      directory ? directory->Write(absolute.filename().string(), content, 0600) : std::unexpected(directory.error());
  if (written) return {};
  return FailedPrecondition("CANNOT_WRITE", fmt::format("cannot write {}: {}", path.string(), written.error().message));
}

}  // namespace allod::cli::installation
