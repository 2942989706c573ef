#include "services/common/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "services/common/call_scope.h"

namespace allod {
namespace {

using Fields = std::vector<LogField>;

struct Settings {
  std::string component = "allod";
  bool json = false;
  LogLevel least = LogLevel::kInfo;
  std::shared_ptr<spdlog::logger> logger = MakeLogger();

  static std::shared_ptr<spdlog::logger> MakeLogger() {
    auto logger = std::make_shared<spdlog::logger>("allod", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    return logger;
  }
};

// Never destroyed: threads may log while the process ends.
Settings& TheSettings() {
  static auto* settings = new Settings;
  return *settings;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

std::string Timestamp() {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto ms = now.time_since_epoch().count() % 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(now)), ms);
}

// One event stays one line, whatever its text holds.
void AppendEscaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
}

std::string TextLine(const Settings& settings, LogLevel level, std::string_view message, const Fields& fields) {
  std::string out = fmt::format("{} {} {}: ", Timestamp(), LevelName(level), settings.component);
  AppendEscaped(out, message);
  for (const auto& [name, value] : fields) {
    const bool quoted = value.empty() || value.find_first_of(" \"=") != std::string::npos;
    out += fmt::format(" {}=", name);
    if (quoted) out += '"';
    AppendEscaped(out, value);
    if (quoted) out += '"';
  }
  return out;
}

std::string JsonLine(const Settings& settings, LogLevel level, std::string_view message, const Fields& fields) {
  nlohmann::ordered_json line;
  line["time"] = Timestamp();
  line["level"] = LevelName(level);
  line["component"] = settings.component;
  line["message"] = message;
  for (const auto& [name, value] : fields) line[std::string(name)] = value;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

void InitLog(std::string_view component, LogLevel least_by_default) {
  Settings& settings = TheSettings();
  settings.component = component;
  settings.least = least_by_default;
  const char* format = std::getenv("ALLOD_LOG");
  settings.json = format != nullptr && std::string_view(format) == "json";
  const char* least = std::getenv("ALLOD_LOG_LEVEL");
  if (least == nullptr) return;
  for (const LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (LevelName(level) == least) settings.least = level;
  }
}

void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> given) {
  const Settings& settings = TheSettings();
  if (level < settings.least) return;
  Fields fields(given);
  if (const Trace* trace = CurrentTrace()) fields.emplace_back("trace", trace->trace_id);
  const std::string line =
      settings.json ? JsonLine(settings, level, message, fields) : TextLine(settings, level, message, fields);
  settings.logger->info("{}", line);
}

}  // namespace allod
