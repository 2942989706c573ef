// Structured logging to standard error, one line an event: text for people, JSON when asked (ALLOD_LOG=json). Never a
// key, a prompt or an answer.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace allod {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogField = std::pair<std::string_view, std::string>;

// `component` goes into every line, e.g. "billing". Call once, before threads start. The least level shown comes from
// ALLOD_LOG_LEVEL (debug, info, warning, error), if set.
void InitLog(std::string_view component, LogLevel least_by_default = LogLevel::kInfo);
// During a call (call_scope.h) the line has the field `trace`, the id of the call's trace.
void Log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace allod
