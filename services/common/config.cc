#include "services/common/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "services/common/owned_fd.h"
#include "services/common/unix_address.h"

namespace allod {
namespace {

constexpr std::size_t kConfigBytesMax = 1 << 20;
constexpr std::size_t kSecretBytesMax = 64 << 10;

OwnedFd OpenFile(const std::filesystem::path& path) {
  return OwnedFd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

std::string ErrnoText() { return std::system_category().message(errno); }

// The whole of a regular file of at most `bytes_max`; the string of the error says why not.
std::expected<std::string, std::string> ReadAll(int fd, std::size_t bytes_max) {
  struct stat info {};
  if (fstat(fd, &info) != 0) return std::unexpected(ErrnoText());
  if (!S_ISREG(info.st_mode)) return std::unexpected("it is not a regular file");
  std::string out;
  char buffer[8192];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(ErrnoText());
    if (n == 0) return out;
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > bytes_max) return std::unexpected(fmt::format("it has more than {} bytes", bytes_max));
  }
}

}  // namespace

Result<ConfigFile> ReadConfigFile(const std::filesystem::path& path) {
  const auto bad = [&](std::string_view why) {
    return InvalidArgument("INVALID_CONFIG", fmt::format("{}: {}", path.string(), why));
  };
  const OwnedFd file = OpenFile(path);
  if (!file) return bad("cannot be read: " + ErrnoText());
  const auto text = ReadAll(file.get(), kConfigBytesMax);
  if (!text) return bad("cannot be read: " + text.error());
  try {
    ConfigFile out{path, nlohmann::json::parse(*text, nullptr, true, /*ignore_comments=*/true)};
    if (!out.json.is_object()) return bad("must hold one JSON object");
    return out;
  } catch (const nlohmann::json::exception& e) {
    return bad(fmt::format("is not JSON: {}", e.what()));
  }
}

Result<std::string> ReadSecretFile(const std::filesystem::path& path) {
  const auto bad = [&](std::string reason, std::string_view why) {
    return FailedPrecondition(std::move(reason), fmt::format("secret file {} {}", path.string(), why));
  };
  const OwnedFd file = OpenFile(path);
  if (!file) return bad("UNREADABLE_FILE", "cannot be read: " + ErrnoText());
  struct stat info {};
  if (fstat(file.get(), &info) != 0) return bad("UNREADABLE_FILE", "cannot be read: " + ErrnoText());
  if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return bad("INSECURE_FILE", fmt::format("is open to others (mode {:04o}); chmod it to 0600",
                                            static_cast<unsigned>(info.st_mode & 07777)));
  }
  auto text = ReadAll(file.get(), kSecretBytesMax);
  if (!text) return bad("UNREADABLE_FILE", "cannot be read: " + text.error());
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  if (text->empty()) return bad("EMPTY_FILE", "is empty");
  return *std::move(text);
}

void ConfigReader::Address(const std::string& field, std::string& out) {
  const std::size_t before = complaints_.size();
  Required(field, out);
  if (complaints_.size() != before) return;
  if (auto checked = CheckUnixAddress(field, out); !checked) Complain(std::move(checked.error().message));
}

Status ConfigReader::Check() {
  std::vector<std::string> complaints = complaints_;
  if (!file_.json.is_object()) {
    complaints.emplace_back("must be a JSON object");
  } else {
    for (const auto& item : file_.json.items()) {
      if (!seen_.contains(item.key())) complaints.push_back(fmt::format("unknown field \"{}\"", item.key()));
    }
  }
  if (complaints.empty()) return {};
  return InvalidArgument("INVALID_CONFIG", fmt::format("{}: {}", file_.path.string(), fmt::join(complaints, "; ")));
}

}  // namespace allod
