#include "inference/node/config.h"

#include <fmt/format.h>

#include <utility>

#include "inference/node/process/machine.h"
#include "inference/node/process/worker_socket.h"
#include "services/common/country_code.h"
#include "services/common/ids.h"

namespace allod::inference::node {
namespace {

// The program of each runtime, by the field that names it.
constexpr std::pair<const char*, pool::Runtime> kWorkerExecutables[] = {
    {"worker_executable", pool::Runtime::kLanguage}};

void ReadPath(ConfigReader& reader, const std::string& field, std::filesystem::path& out) {
  std::string text;
  reader.Required(field, text);
  out = text;
  if (!text.empty() && !out.is_absolute()) reader.Complain(field + ": must be an absolute path");
}

void CheckExecutable(ConfigReader& reader, const std::string& field, const std::filesystem::path& path) {
  std::error_code ignored;
  if (path.is_absolute() && !std::filesystem::is_regular_file(path, ignored)) {
    reader.Complain(fmt::format("{}: {} is not a file", field, path.string()));
  }
}

// A group of fields below one name; unknown ones are refused there too.
template <typename Read>
void ReadGroup(ConfigReader& reader, const ConfigFile& file, const std::string& name, const Read& read) {
  nlohmann::json group = nlohmann::json::object();
  reader.Optional(name, group);
  if (!group.is_object()) return reader.Complain(name + ": must be an object");
  const ConfigFile part{file.path, std::move(group)};
  ConfigReader fields(part);
  read(fields);
  if (const auto checked = fields.Finish(0); !checked) reader.Complain(name + ": " + checked.error().message);
}

void CheckAtLeast(ConfigReader& reader, const char* field, std::int64_t value, std::int64_t least) {
  if (value < least) reader.Complain(fmt::format("{}: must be at least {}", field, least));
}

void ReadPoolSettings(ConfigReader& r, const ConfigFile& file, NodeConfig& c) {
  r.Optional("sandbox", c.sandbox);
  r.Optional("first_uid", c.first_uid);
  r.Optional("zygote_idle_seconds", c.zygote_idle_seconds);
  r.Optional("spare_worker_seconds", c.spare_worker_seconds);
  ReadGroup(r, file, "gate", [&c](ConfigReader& g) {
    g.Optional("cores", c.gate.cores);
    g.Optional("turn_ms_max", c.gate.turn_ms_max);
    g.Optional("chunk_tokens_max", c.gate.chunk_tokens_max);
    CheckAtLeast(g, "cores", c.gate.cores, 0);
    CheckAtLeast(g, "turn_ms_max", c.gate.turn_ms_max, 1);
    CheckAtLeast(g, "chunk_tokens_max", c.gate.chunk_tokens_max, 0);
  });
  ReadGroup(r, file, "pool", [&c](ConfigReader& p) {
    p.Optional("sequences", c.pool.sequences);
    p.Optional("context_tokens", c.pool.context_tokens);
    c.pool.kv_tokens = c.pool.context_tokens * 4;
    p.Optional("kv_tokens", c.pool.kv_tokens);
    if (c.pool.sequences < 1 || c.pool.sequences > 64) p.Complain("sequences: must be 1 to 64");
    CheckAtLeast(p, "context_tokens", c.pool.context_tokens, 16);
    CheckAtLeast(p, "kv_tokens", c.pool.kv_tokens, c.pool.context_tokens);
  });
  if (c.sandbox != "auto" && c.sandbox != "strict") r.Complain("sandbox: must be \"auto\" or \"strict\"");
  CheckAtLeast(r, "zygote_idle_seconds", c.zygote_idle_seconds, 0);
  CheckAtLeast(r, "spare_worker_seconds", c.spare_worker_seconds, 0);
}

}  // namespace

Result<NodeConfig> LoadConfig(const ConfigFile& file) {
  NodeConfig c;
  ConfigReader r(file);
  r.Required("node", c.node);
  r.Required("region", c.region);
  r.Required("jurisdiction", c.jurisdiction);
  r.Optional("memory_bytes", c.memory_bytes);
  r.Optional("cpu_millis", c.cpu_millis);
  r.Address("scheduling_target", c.scheduling_target);
  r.Address("catalog_target", c.catalog_target);
  r.Address("billing_target", c.billing_target);
  ReadPath(r, "artifact_dir", c.artifact_dir);
  ReadPath(r, "run_dir", c.run_dir);
  ReadPath(r, "usage_dir", c.usage_dir);
  for (const auto& [field, runtime] : kWorkerExecutables) ReadPath(r, field, c.worker_executables[runtime]);
  ReadPath(r, "compress_executable", c.compress_executable);
  ReadPath(r, "evaluation_text", c.evaluation_text);
  for (const auto& [field, id] : {std::pair{"node", c.node}, std::pair{"region", c.region}}) {
    if (const auto ok = CheckId(field, id); !ok && file.json.contains(field)) r.Complain(ok.error().message);
  }
  if (const auto ok = CheckCountryCode("jurisdiction", c.jurisdiction); !ok && file.json.contains("jurisdiction")) {
    r.Complain(ok.error().message);
  }
  ReadPoolSettings(r, file, c);
  if (c.memory_bytes < 0) r.Complain("memory_bytes: must not be negative");
  if (c.cpu_millis < 0) r.Complain("cpu_millis: must not be negative");
  if (c.run_dir.string().size() > process::kRunDirBytesMax) {
    r.Complain(
        fmt::format("run_dir: at most {} bytes, because socket paths are limited to 107", process::kRunDirBytesMax));
  }
  for (const auto& [field, runtime] : kWorkerExecutables) CheckExecutable(r, field, c.worker_executables[runtime]);
  CheckExecutable(r, "compress_executable", c.compress_executable);
  CheckExecutable(r, "evaluation_text", c.evaluation_text);
  const process::Machine machine = process::DetectMachine();
  if (c.memory_bytes == 0) c.memory_bytes = machine.memory_bytes;
  if (c.cpu_millis == 0) c.cpu_millis = machine.cpu_millis;
  return r.Finish(c);
}

}  // namespace allod::inference::node
