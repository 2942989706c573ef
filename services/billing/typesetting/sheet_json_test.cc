// A sheet goes to the typesetter and comes back the same; what is not one is refused by name.
#include "services/billing/typesetting/sheet_json.h"

#include <gmock/gmock.h>

namespace allod::billing::typesetting::sheet_json_test {
namespace {

using testing::HasSubstr;

Sheet ASheet() {
  Sheet out;
  out.language = "am";
  out.is_right_to_left = true;
  out.title = "ደረሰኝ \"<&>\"";
  out.number = "KE/000042";
  out.issuer = "Allod";
  out.created = "2026-11-02T01:00:00Z";
  out.facts = {{"a", "b"}};
  out.blocks = {{"seller", {"x", "y"}}};
  out.columns = {{"text", false}, {"sum", true}};
  out.rows = {{{{"t", {"s1", "s2"}}, {"1.00", {}}}, "1.00"}};
  out.totals = {{"net", "1.00", false}, {"due", "KES 1.16", true}};
  out.notes = {{"payment", {"soon"}}};
  out.carried_forward = "c";
  out.brought_forward = "b";
  out.page_of = "{page}/{pages}";
  return out;
}

std::string ProblemOf(const std::string& json) {
  const auto parsed = ParseSheet(json);
  return parsed ? "" : parsed.error().reason + ": " + parsed.error().message;
}

std::string Replaced(const std::string& what, const std::string& by) {
  std::string json = ToJson(ASheet()).value();
  const std::size_t at = json.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return json.replace(at, what.size(), by);
}

TEST(SheetJson, ComesBackTheSame) { EXPECT_EQ(ParseSheet(ToJson(ASheet()).value()).value(), ASheet()); }

TEST(SheetJson, RefusesWhatIsNotASheet) {
  for (const char* text : {"", "[]", "{}", "null", "{\"version\":1}", "{\"version\":1,\"sheet\":{},\"x\":1}"}) {
    EXPECT_THAT(ProblemOf(text), HasSubstr("INVALID_SHEET")) << text;
  }
  const std::string whole = ToJson(ASheet()).value();
  for (std::size_t i = 0; i < whole.size(); i += 7) EXPECT_NE(ProblemOf(whole.substr(0, i)), "") << i;
}

TEST(SheetJson, NamesTheField) {
  EXPECT_THAT(ProblemOf(Replaced("\"version\":1", "\"version\":2")), HasSubstr("version 1"));
  EXPECT_THAT(ProblemOf(Replaced("\"issuer\":", "\"issuers\":")), HasSubstr("issuer is missing"));
  EXPECT_THAT(ProblemOf(Replaced("\"is_due\":true", "\"is_due\":\"yes\"")), HasSubstr("is_due is neither"));
  EXPECT_THAT(ProblemOf(Replaced("\"language\":", "\"more\":1,\"language\":")), HasSubstr("not known"));
  EXPECT_THAT(ProblemOf(Replaced("\"number\":\"KE/000042\"", "\"number\":7")), HasSubstr("number is not text"));
}

TEST(SheetJson, BoundsBothSides) {
  Sheet sheet = ASheet();
  sheet.rows[0].cells.pop_back();
  EXPECT_THAT(ToJson(sheet).error().message, HasSubstr("rows[0] has 1 cells in 2 columns"));
  sheet = ASheet();
  sheet.facts.resize(kListMax + 1);
  EXPECT_THAT(ToJson(sheet).error().message, HasSubstr("more than"));
  sheet = ASheet();
  sheet.title.assign(kTextBytesMax + 1, 'x');
  EXPECT_THAT(ToJson(sheet).error().message, HasSubstr("bytes"));
  EXPECT_THAT(ProblemOf(Replaced("Allod", std::string(kTextBytesMax + 1, 'x'))), HasSubstr("too long"));
  sheet = ASheet();
  sheet.title = "\xff";
  EXPECT_THAT(ToJson(sheet).error().message, HasSubstr("UTF-8"));
  EXPECT_NE(ProblemOf(std::string(1 << 20, '[')), "");
}

}  // namespace
}  // namespace allod::billing::typesetting::sheet_json_test
