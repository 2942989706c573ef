// allod-invoice as billing starts it: confined, strict, and of no weight to the one that asked when it fails.
#include "services/billing/typesetting/process_typesetter.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <string>

#include "services/billing/typesetting/fonts.h"
#include "services/billing/typesetting/page_writer.h"
#include "services/billing/typesetting/sheet_json.h"

namespace allod::billing::typesetting::process_typesetter_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Program() { return std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/allod-invoice"; }

Sheet ASheet() {
  Sheet out;
  out.language = "ar";
  out.is_right_to_left = true;
  out.title = "فاتورة";
  out.number = "KE/000042";
  out.created = "2026-11-02T01:00:00Z";
  out.columns = {{"الوصف", false}, {"المبلغ", true}};
  out.rows = {{{{"رموز الإدخال 2026-10", {}}, {"1.00", {}}}, "1.00"}};
  out.page_of = "{page}/{pages}";
  return out;
}

TEST(ProcessTypesetter, MakesWhatTheLibraryMakes) {
  ProcessTypesetter typesetter(Launcher::Start(Program(), ProcessTypesetter::Limits()).value());
  const auto made = typesetter.Typeset(ASheet());
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_THAT(*made, StartsWith("%PDF-1.5"));
  EXPECT_EQ(*made, WritePdf(ASheet(), kFontDirectory).value());
}

TEST(ProcessTypesetter, PassesOnWhatIsMissing) {
  ProcessTypesetter typesetter(Launcher::Start(Program(), ProcessTypesetter::Limits()).value());
  Sheet sheet = ASheet();
  sheet.issuer = "\uE123";
  const auto refused = typesetter.Typeset(sheet);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().reason, "MISSING_GLYPH");
  EXPECT_THAT(refused.error().message, HasSubstr("U+E123"));
  EXPECT_TRUE(typesetter.Typeset(ASheet()).has_value());
}

TEST(ProcessTypesetter, ItsEndsAreErrors) {
  ProcessTypesetter none(std::nullopt);
  EXPECT_EQ(none.Typeset(ASheet()).error().reason, "PDF_NOT_CONFIGURED");
  ProcessTypesetter failing(Launcher::Start("/bin/false", ProcessTypesetter::Limits()).value());
  EXPECT_EQ(failing.Typeset(ASheet()).error().reason, "TYPESETTING_FAILED");
  ProcessTypesetter late(Launcher::Start(Program(), {.time = std::chrono::milliseconds(1)}).value());
  EXPECT_EQ(late.Typeset(ASheet()).error().reason, "TYPESETTING_TOO_LONG");
  ProcessTypesetter small(Launcher::Start(Program(), {.output_bytes_max = 256}).value());
  EXPECT_EQ(small.Typeset(ASheet()).error().reason, "TYPESETTING_FAILED");
}

TEST(ProcessTypesetter, TheProgramDoubtsItsInput) {
  const Launcher launcher = Launcher::Start(Program(), ProcessTypesetter::Limits()).value();
  for (const std::string& input : {std::string(), std::string("{}"), std::string(1 << 20, '['), std::string("\xff")}) {
    const auto result = launcher.Run(input).value();
    EXPECT_EQ(result.end, (ProcessEnd{.status = 3}));
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.error, StartsWith("INVALID_SHEET: "));
  }
}

}  // namespace
}  // namespace allod::billing::typesetting::process_typesetter_test
