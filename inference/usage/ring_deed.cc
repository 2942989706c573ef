#include "inference/usage/ring_deed.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "services/common/owned_fd.h"

namespace allod::inference::usage {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMembersMax = 2048;
constexpr std::uintmax_t kBytesMax = 8 << 20;
constexpr std::int32_t kChoicesMax = 256;

std::unexpected<Error> Damaged(const std::filesystem::path& path, const std::string& why) {
  return InvalidArgument("USAGE_RING_DAMAGED", fmt::format("{}: {}", path.filename().string(), why));
}

Result<RingDeed> From(const json& in) {
  RingDeed deed;
  ALLOD_TRY(deed.ring_id, Uuid::Parse(in.at("ring_id").get<std::string>()));
  deed.replica_uid = in.at("replica_uid").get<std::string>();
  deed.slots = in.at("slots").get<std::uint32_t>();
  deed.made_us = in.at("made_us").get<std::int64_t>();
  for (const json& m : in.at("members")) {
    RingMember member;
    member.instance = m.at("instance").get<std::string>();
    ALLOD_TRY(member.tenant, Uuid::Parse(m.at("tenant_uid").get<std::string>()));
    member.context_tokens = m.at("context_tokens").get<std::int32_t>();
    member.choices_max = m.at("choices_max").get<std::int32_t>();
    deed.members.push_back(std::move(member));
  }
  return deed;
}

}  // namespace

void RingDeed::AddMembers(const std::vector<RingMember>& added) {
  for (const RingMember& member : added) {
    std::erase(members, member);  // to the end: it is one of today's
    members.push_back(member);
  }
  if (members.size() > kMembersMax) {
    members.erase(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(members.size() - kMembersMax));
  }
}

std::optional<RingMember> RingDeed::Find(const std::string& instance, const Uuid& tenant) const {
  if (any_member) return RingMember{.choices_max = kChoicesMax};
  std::optional<RingMember> most;
  for (const RingMember& member : members) {
    if (member.instance != instance || member.tenant != tenant) continue;
    if (!most) {
      most = member;
      continue;
    }
    const bool is_unknown = most->context_tokens == 0 || member.context_tokens == 0;
    most->context_tokens = is_unknown ? 0 : std::max(most->context_tokens, member.context_tokens);
    most->choices_max = std::max(most->choices_max, member.choices_max);
  }
  return most;
}

std::filesystem::path DeedPath(const std::filesystem::path& ring) {
  return std::filesystem::path(ring).replace_extension(".deed");
}

Status WriteDeed(const std::filesystem::path& path, const RingDeed& deed) {
  json members = json::array();
  for (const RingMember& m : deed.members) {
    members.push_back({{"instance", m.instance},
                       {"tenant_uid", m.tenant.ToString()},
                       {"context_tokens", m.context_tokens},
                       {"choices_max", m.choices_max}});
  }
  const json out = {{"version", kVersion},
                    {"ring_id", deed.ring_id.ToString()},
                    {"replica_uid", deed.replica_uid},
                    {"slots", deed.slots},
                    {"made_us", deed.made_us},
                    {"members", std::move(members)}};
  const std::filesystem::path fresh = path.string() + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << out.dump();
    if (!file.flush()) return Fail(Code::kInternal, "USAGE_RING_FAILED", fresh.string() + " cannot be written");
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return Fail(Code::kInternal, "USAGE_RING_FAILED", fmt::format("{}: {}", path.string(), error.message()));
  return {};
}

Result<RingDeed> ReadDeed(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) return Damaged(path, error.message());
  if (bytes > kBytesMax) return Damaged(path, "it is too large");
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const json in = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!in.is_object()) return Damaged(path, "it is no JSON object");
  try {
    if (in.at("version").get<int>() != kVersion) return Damaged(path, "it is of another version");
    auto deed = From(in);
    if (!deed) return Damaged(path, deed.error().message);
    if (deed->slots == 0 || deed->slots > kSlotsMax) return Damaged(path, "no ring has so many slots");
    return deed;
  } catch (const json::exception& e) {
    return Damaged(path, e.what());
  }
}

Result<RingDeed> DeedOfEarlierVersion(const std::filesystem::path& ring) {
  const OwnedFd fd(open(ring.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd || fstat(fd.get(), &info) != 0) return Damaged(ring, std::strerror(errno));
  RingHead head{};
  if (pread(fd.get(), &head, sizeof(head), 0) != sizeof(head)) return Damaged(ring, "it is too short");
  if (head.magic != kRingMagic || head.slot_bytes != kSlotBytes) {
    return Damaged(ring, "it has another magic or slot size");
  }
  if (head.slot_count == 0 || head.slot_count > kSlotsMax ||
      static_cast<std::size_t>(info.st_size) != RingFileBytes(head.slot_count)) {
    return Damaged(ring, fmt::format("{} bytes are not {} slots", info.st_size, head.slot_count));
  }
  RingDeed deed;
  std::array<std::uint8_t, 16> id{};
  std::ranges::copy(head.ring_id, id.begin());
  deed.ring_id = Uuid::FromBytes(id);
  deed.replica_uid.assign(head.replica_uid, strnlen(head.replica_uid, sizeof(head.replica_uid)));
  deed.slots = head.slot_count;
  deed.any_member = true;
  return deed;
}

}  // namespace allod::inference::usage
