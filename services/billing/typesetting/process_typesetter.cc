#include "services/billing/typesetting/process_typesetter.h"

#include <fmt/format.h>

#include "services/billing/typesetting/confine.h"
#include "services/billing/typesetting/sheet_json.h"
#include "services/common/log.h"

namespace allod::billing::typesetting {
namespace {

constexpr int kCannotBeSet = 3;  // exit status of allod-invoice
constexpr std::string_view kRefusals[] = {"MISSING_FONT", "MISSING_GLYPH", "INVALID_SHEET"};

// "REASON: what to do"
Result<std::string> Refusal(const std::string& line) {
  const std::size_t colon = line.find(": ");
  for (const std::string_view reason : kRefusals) {
    if (colon == std::string::npos || line.substr(0, colon) != reason) continue;
    std::string message = line.substr(colon + 2);
    if (message.ends_with('\n')) message.pop_back();
    return FailedPrecondition(std::string(reason), std::move(message));
  }
  return Fail(Code::kInternal, "TYPESETTING_FAILED", "the document could not be set as PDF; take another format");
}

}  // namespace

LaunchLimits ProcessTypesetter::Limits() {
  return {.time = std::chrono::seconds(40), .output_bytes_max = 64 << 20, .memory_bytes_max = 2ULL << 30};
}

Result<std::string> ProcessTypesetter::Typeset(const Sheet& sheet) {
  if (!launcher_) {
    return FailedPrecondition(
        "PDF_NOT_CONFIGURED",
        "format: this installation sets no PDF (invoice_executable of billing's configuration, and "
        "billing's log, say why); take html");
  }
  ALLOD_TRY(const std::string input, ToJson(sheet));
  ALLOD_TRY(LaunchResult result, launcher_->Run(input));
  if (result.end == ProcessEnd{}) {
    if (result.error.find(kNoLandlock) != std::string::npos && !has_told_.exchange(true)) {
      Log(LogLevel::kWarning,
          "what sets PDF is less confined than it should be: it could read what billing's user may; said once",
          {{"reason", std::string(kNoLandlock)}});
    }
    return std::move(result.output);
  }
  Log(LogLevel::kWarning, "a document was not set",
      {{"number", sheet.number},
       {"status", std::to_string(result.end.status)},
       {"signal", std::to_string(result.end.signal)},
       {"error", result.error}});
  if (result.timed_out) {
    return Fail(Code::kResourceExhausted, "TYPESETTING_TOO_LONG",
                "setting the document as PDF took too long; try again, or take another format");
  }
  return Refusal(result.end.status == kCannotBeSet ? result.error : "");
}

}  // namespace allod::billing::typesetting
