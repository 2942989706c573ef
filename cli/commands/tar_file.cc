#include "cli/commands/tar_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <numeric>

namespace allod::cli::commands {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameBytesMax = 99;
constexpr std::uint64_t kOctalMax = 077777777777;

struct Field {
  std::size_t at;
  std::size_t size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 8};

using Header = std::array<char, kBlock>;

void Put(Header& header, Field field, std::string_view text) {
  std::memcpy(header.data() + field.at, text.data(), std::min(text.size(), field.size));
}

// Digits and a NUL; beyond that the binary form of GNU tar.
void PutNumber(Header& header, Field field, std::uint64_t value) {
  if (value <= kOctalMax) return Put(header, field, fmt::format("{:0{}o}", value, field.size - 1));
  for (std::size_t i = field.size - 1; i > 0; --i, value >>= 8) header[field.at + i] = static_cast<char>(value & 0xff);
  header[field.at] = static_cast<char>(0x80);
}

Header HeaderOf(const std::string& name, std::uint64_t size, std::time_t time) {
  Header out{};
  Put(out, kName, name);
  PutNumber(out, kMode, 0600);
  PutNumber(out, kUid, 0);
  PutNumber(out, kGid, 0);
  PutNumber(out, kSize, size);
  PutNumber(out, kTime, static_cast<std::uint64_t>(time));
  Put(out, kType, "0");
  Put(out, kMagic, std::string_view("ustar\00000", 8));
  // The checksum is that of a header with blanks in its place.
  Put(out, kChecksum, "        ");
  const auto sum = std::accumulate(out.begin(), out.end(), 0U,
                                   [](unsigned total, char c) { return total + static_cast<unsigned char>(c); });
  Put(out, kChecksum, fmt::format("{:06o}", sum) + '\0');
  return out;
}

std::unexpected<Error> Unwritable(const std::filesystem::path& path) {
  return FailedPrecondition("CANNOT_WRITE", fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

}  // namespace

Status WriteTar(const std::filesystem::path& archive, const std::filesystem::path& directory, const std::string& prefix,
                const std::vector<std::string>& names) {
  std::ofstream out(archive, std::ios::binary | std::ios::trunc);
  std::error_code unchanged;
  std::filesystem::permissions(archive, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
                               unchanged);
  if (!out || unchanged) return Unwritable(archive);
  constexpr std::array<char, kBlock> kNothing{};
  std::vector<char> piece(1 << 16);
  for (const std::string& name : names) {
    const std::string path = prefix + "/" + name;
    if (path.size() > kNameBytesMax) return FailedPrecondition("CANNOT_WRITE", path + ": too long for a tar archive");
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(directory / name, error);
    if (error) return FailedPrecondition("CANNOT_WRITE", fmt::format("{} cannot be read: {}", name, error.message()));
    const Header header = HeaderOf(path, size, std::time(nullptr));
    out.write(header.data(), header.size());
    std::ifstream in(directory / name, std::ios::binary);
    std::uint64_t copied = 0;
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
      out.write(piece.data(), in.gcount());
      copied += static_cast<std::uint64_t>(in.gcount());
    }
    if (copied != size) return FailedPrecondition("CANNOT_WRITE", fmt::format("{} cannot be read", name));
    if (size % kBlock != 0) out.write(kNothing.data(), static_cast<std::streamsize>(kBlock - size % kBlock));
  }
  out.write(kNothing.data(), kNothing.size());
  out.write(kNothing.data(), kNothing.size());
  out.close();
  if (!out) return Unwritable(archive);
  return {};
}

}  // namespace allod::cli::commands
