// PDF pages as a reader of another make sees them (pdftotext, pdfinfo and pdffonts of poppler-utils).
#include "services/billing/typesetting/page_writer.h"

#include <gmock/gmock.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "services/billing/typesetting/fonts.h"

namespace allod::billing::typesetting::page_writer_test {
namespace {

using testing::HasSubstr;
using testing::Not;

Sheet ASheet(int rows) {
  Sheet out;
  out.language = "en";
  out.title = "Invoice";
  out.number = "KE/000042";
  out.issuer = "Allod Kenya Ltd";
  out.created = "2026-11-02T01:00:00Z";
  out.facts = {{"Number", "KE/000042"}, {"Period", "2026-10-01 – 2026-10-31"}};
  out.blocks = {{"Seller", {"Allod Kenya Ltd", "Nairobi"}}, {"Buyer", {"Ministry of \"Water\" & <Irrigation>"}}};
  out.columns = {{"Line", true}, {"Description", false}, {"Amount (KES)", true}};
  for (int i = 1; i <= rows; ++i) {
    const std::string n = std::to_string(i);
    out.rows.push_back(
        {{{n, {}}, {"row-" + n, {"tenants/ke/projects/services/instances/assistant"}}, {n + ".00", {}}}, "sum-" + n});
  }
  out.totals = {{"Total without tax", "1 000.00"}, {"To pay", "KES 1 160.00", true}};
  out.notes = {{"Payment", {"Within 30 days."}}};
  out.carried_forward = "Carried";
  out.brought_forward = "Brought";
  out.page_of = "Page {page} of {pages}";
  return out;
}

class PageWriterTest : public testing::Test {
 protected:
  PageWriterTest() {
    char name[] = "/tmp/allod-pages-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~PageWriterTest() override { std::filesystem::remove_all(directory_); }

  std::string Seen(const std::string& tool, const std::string& pdf, const std::string& options = "") {
    const std::string file = directory_ / "page.pdf";
    std::ofstream(file, std::ios::binary) << pdf;
    const std::string command = tool + " " + options + " " + file + (tool == "pdftotext" ? " -" : "");
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    EXPECT_NE(pipe, nullptr);
    std::array<char, 4096> buffer;
    while (const std::size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) out.append(buffer.data(), n);
    EXPECT_EQ(pclose(pipe), 0) << command << ": install poppler-utils";
    return out;
  }

  std::filesystem::path directory_;
};

TEST_F(PageWriterTest, IsTheSameToTheLastByte) {
  const std::string first = WritePdf(ASheet(40), kFontDirectory).value();
  EXPECT_EQ(WritePdf(ASheet(40), kFontDirectory).value(), first);
  ASSERT_EQ(setenv("TZ", "Asia/Tokyo", 1), 0);
  ASSERT_EQ(setenv("LC_ALL", "ar_EG.UTF-8", 1), 0);
  EXPECT_EQ(WritePdf(ASheet(40), kFontDirectory).value(), first);
}

TEST_F(PageWriterTest, SaysAllOnOnePage) {
  const std::string pdf = WritePdf(ASheet(3), kFontDirectory).value();
  const std::string text = Seen("pdftotext", pdf, "-layout");
  for (const char* part : {"KE/000042", "Ministry of \"Water\" & <Irrigation>", "2026-10-01 – 2026-10-31", "row-3",
                           "1 160.00", "Within 30 days.", "Page 1 of 1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("Carried")));
  const std::string info = Seen("pdfinfo", pdf);
  EXPECT_THAT(info, HasSubstr("Invoice KE/000042"));
  EXPECT_THAT(info, HasSubstr("A4"));
  const std::string structure = Seen("pdfinfo", pdf, "-struct");
  for (const char* tag : {"H1", "Table", "TR", "TH", "TD"}) EXPECT_THAT(structure, HasSubstr(tag));
  EXPECT_THAT(info, testing::ContainsRegex("Pages: +1\n"));
}

TEST_F(PageWriterTest, CarriesSumsFromPageToPage) {
  const std::string pdf = WritePdf(ASheet(100), kFontDirectory).value();
  const std::string text = Seen("pdftotext", pdf, "-layout");
  int pages = 0;
  std::string carried;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\f', begin), text.size());
    const std::string page = text.substr(begin, end - begin);
    begin = end + 1;
    ++pages;
    EXPECT_THAT(page, HasSubstr("Description")) << "the head of the table";
    EXPECT_THAT(page, HasSubstr("Page " + std::to_string(pages) + " of "));
    // What the last page gave on is what this one begins with, and is of the row before its first.
    if (pages > 1) {
      EXPECT_THAT(page, HasSubstr("Allod Kenya Ltd"));
      const std::size_t brought = page.find("Brought");
      ASSERT_NE(brought, std::string::npos);
      const std::size_t sum = page.find("sum-", brought);
      const std::string number = page.substr(sum + 4, page.find('\n', sum) - sum - 4);
      EXPECT_EQ(number, carried);
      EXPECT_THAT(page, HasSubstr("row-" + std::to_string(std::stoi(number) + 1)));
    }
    if (const std::size_t carry = page.find("Carried"); carry != std::string::npos) {
      const std::size_t sum = page.find("sum-", carry);
      carried = page.substr(sum + 4, page.find('\n', sum) - sum - 4);
      EXPECT_THAT(page, HasSubstr("row-" + carried + " ")) << "its last row";
    }
  }
  EXPECT_GE(pages, 4);
  for (int i = 1; i <= 100; ++i) EXPECT_THAT(text, HasSubstr("row-" + std::to_string(i) + " "));
  EXPECT_THAT(text, HasSubstr("Page 1 of " + std::to_string(pages)));
}

TEST_F(PageWriterTest, EmbedsTheFontsOfEachScript) {
  const std::pair<const char*, const char*> kScripts[] = {
      {"فاتورة", "Arabic"}, {"ደረሰኝ", "Ethiopic"}, {"बीजक", "Devanagari"},   {"চালান", "Bengali"}, {"חשבונית", "Hebrew"},
      {"ใบแจ้งหนี้", "Thai"},  {"Счёт", "NotoSans"}, {"விலைப்பட்டியல்", "Tamil"}, {"ⵜⴰⵡⵍⴰ", "Tifinagh"}};
  Sheet sheet = ASheet(1);
  for (const auto& [text, font] : kScripts) sheet.blocks[0].lines.push_back(text);
  const std::string fonts = Seen("pdffonts", WritePdf(sheet, kFontDirectory).value());
  for (const auto& [text, font] : kScripts) EXPECT_THAT(fonts, HasSubstr(font)) << text;
}

TEST_F(PageWriterTest, NamesWhatNoFontHas) {
  Sheet sheet = ASheet(1);
  sheet.blocks[0].lines.push_back("private \uE123");
  const auto unknown = WritePdf(sheet, kFontDirectory);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().reason, "MISSING_GLYPH");
  EXPECT_THAT(unknown.error().message, HasSubstr("U+E123"));
  const auto missing = WritePdf(ASheet(1), directory_);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().reason, "MISSING_FONT");
  EXPECT_THAT(missing.error().message, HasSubstr("install the Debian package fonts-noto-core"));
}

TEST_F(PageWriterTest, RefusesWhatIsHigherThanAPage) {
  Sheet sheet = ASheet(1);
  sheet.rows[0].cells[1].text.assign(8000, 'w');
  EXPECT_EQ(WritePdf(sheet, kFontDirectory).error().reason, "INVALID_SHEET");
}

TEST_F(PageWriterTest, NumbersWithoutEndKeepWithinThePage) {
  Sheet sheet = ASheet(2);
  sheet.rows[0].cells[2].text.assign(120, '9');
  const std::string text = Seen("pdftotext", WritePdf(sheet, kFontDirectory).value());
  EXPECT_GE(std::count(text.begin(), text.end(), '9'), 120);
}

TEST_F(PageWriterTest, SixThousandLinesTakeSeconds) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string pdf = WritePdf(ASheet(6000), kFontDirectory).value();
  const auto took = std::chrono::steady_clock::now() - begin;
  std::printf("6000 lines: %.2f s, %zu bytes\n", std::chrono::duration<double>(took).count(), pdf.size());
  EXPECT_LT(took, std::chrono::seconds(40));
  EXPECT_LT(pdf.size(), 32U << 20);
}

}  // namespace
}  // namespace allod::billing::typesetting::page_writer_test
