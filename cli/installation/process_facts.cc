#include "cli/installation/process_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "services/common/sandbox/layers.h"

namespace allod::cli::installation {
namespace {

// Those that only the kernel's word counts for.
constexpr std::array kTheKernelTells = {sandbox::kOwnUid, sandbox::kNoCapabilities, sandbox::kNoNewPrivs,
                                        sandbox::kSeccomp};

}  // namespace

std::optional<ProcessFacts> ParseProcessFacts(const std::string& status) {
  ProcessFacts out;
  bool has_uid = false;
  bool no_capabilities = true;
  int capability_lines = 0;
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string field;
    words >> field;
    if (field == "Uid:") {
      uid_t real = 0;
      has_uid = static_cast<bool>(words >> real >> out.uid);
    } else if (field == "CapPrm:" || field == "CapEff:" || field == "CapBnd:") {
      std::uint64_t set = 0;
      no_capabilities = static_cast<bool>(words >> std::hex >> set) && set == 0 && no_capabilities;
      ++capability_lines;
    } else if (field == "NoNewPrivs:") {
      int set = 0;
      if (words >> set && set == 1) out.layers.emplace_back(sandbox::kNoNewPrivs);
    } else if (field == "Seccomp:") {
      int mode = 0;
      if (words >> mode && mode == 2) out.layers.emplace_back(sandbox::kSeccomp);
    }
  }
  if (!has_uid) return std::nullopt;
  if (no_capabilities && capability_lines == 3) {
    out.layers.emplace(out.layers.begin(), sandbox::kNoCapabilities);
  }
  return out;
}

std::optional<ProcessFacts> ReadProcessFacts(pid_t pid) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  std::ostringstream text;
  text << in.rdbuf();
  return ParseProcessFacts(text.str());
}

std::optional<pid_t> FindProcessOfUsers(std::uint32_t first, std::uint32_t count) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || end != name.data() + name.size()) continue;
    const auto facts = ReadProcessFacts(pid);
    if (facts && facts->uid >= first && facts->uid - first < count) return pid;
  }
  return std::nullopt;
}

std::vector<std::string> LayersInForce(const ProcessFacts& facts, const std::vector<std::string>& told, int sharing) {
  std::vector<std::string> out;
  if (facts.uid != 0 && sharing == 1) out.emplace_back(sandbox::kOwnUid);
  out.insert(out.end(), facts.layers.begin(), facts.layers.end());
  for (const std::string& layer : told) {
    const bool kernels = std::ranges::find(kTheKernelTells, layer) != kTheKernelTells.end();
    if (!kernels && std::ranges::find(out, layer) == out.end()) out.push_back(layer);
  }
  return out;
}

}  // namespace allod::cli::installation
