#include "services/billing/typesetting/page_writer.h"

#include <cairo-pdf.h>
#include <fmt/format.h>
#include <glib.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "services/billing/typesetting/fonts.h"
#include "services/billing/typesetting/text_setter.h"

namespace allod::billing::typesetting {
namespace {

// Points. A4.
constexpr double kWidth = 595.276;
constexpr double kHeight = 841.89;
constexpr double kMargin = 48;
constexpr double kContent = kWidth - 2 * kMargin;
constexpr double kBottom = kHeight - 60;  // of what is above the foot
constexpr double kFoot = kHeight - 42;
constexpr double kGap = 14;
constexpr double kPadding = 5;  // of a cell, at both sides
constexpr double kTextColumnMin = 150;
constexpr double kFactWidthMin = 120;

constexpr Style kTitle{.size = 20, .bold = true};
constexpr Style kSubtitle{.size = 12};
constexpr Style kHeading{.size = 9.5, .bold = true};
constexpr Style kText{.size = 9};
constexpr Style kBold{.size = 9, .bold = true};
constexpr Style kSmall{.size = 7, .grey = 0.35};
constexpr Style kLabel{.size = 7.5, .grey = 0.35};
constexpr Style kHead{.size = 8, .bold = true};
constexpr Style kDue{.size = 11, .bold = true};

struct Destroy {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* cairo) const { cairo_destroy(cairo); }
};

cairo_status_t Append(void* out, const unsigned char* bytes, unsigned length) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(bytes), length);
  return CAIRO_STATUS_SUCCESS;
}

void AddCharacters(std::string_view text, std::set<char32_t>& out) {
  for (const char* c = text.data(); c < text.data() + text.size(); c = g_utf8_next_char(c)) {
    out.insert(g_utf8_get_char(c));
  }
}

std::set<char32_t> CharactersOf(const Sheet& sheet) {
  std::set<char32_t> out;
  for (const std::string* text :
       {&sheet.title, &sheet.number, &sheet.issuer, &sheet.carried_forward, &sheet.brought_forward, &sheet.page_of}) {
    AddCharacters(*text, out);
  }
  AddCharacters("0123456789", out);
  for (const Fact& fact : sheet.facts) {
    AddCharacters(fact.name, out);
    AddCharacters(fact.value, out);
  }
  for (const auto* blocks : {&sheet.blocks, &sheet.notes}) {
    for (const Block& block : *blocks) {
      AddCharacters(block.title, out);
      for (const std::string& line : block.lines) AddCharacters(line, out);
    }
  }
  for (const Column& column : sheet.columns) AddCharacters(column.title, out);
  for (const Row& row : sheet.rows) {
    AddCharacters(row.running, out);
    for (const Cell& cell : row.cells) {
      AddCharacters(cell.text, out);
      for (const std::string& line : cell.small) AddCharacters(line, out);
    }
  }
  for (const Total& total : sheet.totals) {
    AddCharacters(total.name, out);
    AddCharacters(total.value, out);
  }
  return out;
}

std::size_t CharactersIn(std::string_view text) {
  return static_cast<std::size_t>(g_utf8_strlen(text.data(), static_cast<gssize>(text.size())));
}

// Goes over the sheet twice: first without ink, to learn how many pages there are, then with it.
class PageWriter {
 public:
  PageWriter(const Sheet& sheet, cairo_t* cairo, TextSetter& text) : sheet_(sheet), cairo_(cairo), text_(text) {
    start_ = sheet.is_right_to_left ? Side::kRight : Side::kLeft;
    end_ = sheet.is_right_to_left ? Side::kLeft : Side::kRight;
    line_height_ = text_.Measure("0", kText).height;
    for (const std::string* word : {&sheet.carried_forward, &sheet.brought_forward}) {
      carry_height_ = std::max(carry_height_, text_.Measure(*word, kBold).height);
    }
    carry_height_ = std::max(carry_height_, line_height_) + 2 * kPadding;
    LayColumns();
    heights_.reserve(sheet.rows.size());
    for (const Row& row : sheet.rows) heights_.push_back(HeightOf(row));
  }

  Status Write() {
    for (const bool with_ink : {false, true}) {
      has_ink_ = with_ink;
      page_ = 0;
      ALLOD_CHECK_OK(WriteAll());
      pages_ = page_;
    }
    return {};
  }

 private:
  struct Place {
    double from = 0;  // of the start of the content
    double width = 0;
  };

  // From a distance to the start of the content to an x of the page.
  double At(double from_start) const {
    return sheet_.is_right_to_left ? kWidth - kMargin - from_start : kMargin + from_start;
  }
  void Rule(double from, double to, double y, double thickness, double grey) {
    if (!has_ink_) return;
    cairo_set_source_rgb(cairo_, grey, grey, grey);
    cairo_set_line_width(cairo_, thickness);
    cairo_move_to(cairo_, At(from), y);
    cairo_line_to(cairo_, At(to), y);
    cairo_stroke(cairo_);
  }
  void Fill(double y, double height, double grey) {
    if (!has_ink_) return;
    cairo_set_source_rgb(cairo_, grey, grey, grey);
    cairo_rectangle(cairo_, kMargin, y, kContent, height);
    cairo_fill(cairo_);
  }
  // The height that it takes.
  double Put(const char* tag, std::string_view text, const Style& style, double from, double y, Side side,
             double width = 0, Reading reading = Reading::kOwn) {
    if (!has_ink_) return text_.Measure(text, style, width, reading).height;
    cairo_tag_begin(cairo_, tag, nullptr);
    const double height = text_.Draw(text, style, At(from), y, side, width, reading).height;
    cairo_tag_end(cairo_, tag);
    return height;
  }

  // What is the least that a heading of a column needs: its longest word, and no more than two or three lines.
  double HeadingWidth(const std::string& text) {
    constexpr double kOfOneLine = 0.55;
    return std::max(LongestWord(text, kHead), kOfOneLine * text_.Measure(text, kHead).width);
  }

  double LongestWord(const std::string& text, const Style& style) {
    double out = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(' ', begin), text.size());
      out = std::max(out, text_.Measure(std::string_view(text).substr(begin, end - begin), style).width);
      begin = end + 1;
    }
    return out;
  }

  // The digits of the fonts are all as wide, so of a column of numbers that with the most characters counts.
  void LayColumns() {
    std::vector<double> widths(sheet_.columns.size());
    double numbers = 0;
    std::size_t texts = 0;
    for (std::size_t i = 0; i < sheet_.columns.size(); ++i) {
      if (!sheet_.columns[i].is_number) {
        ++texts;
        continue;
      }
      std::string_view longest;
      for (const Row& row : sheet_.rows) {
        const std::string& text = row.cells[i].text;
        if (CharactersIn(text) > CharactersIn(longest)) longest = text;
      }
      if (i + 1 == sheet_.columns.size() && !sheet_.rows.empty()) {
        const std::string& sum = sheet_.rows.back().running;
        if (CharactersIn(sum) > CharactersIn(longest)) longest = sum;
      }
      widths[i] =
          std::max(text_.Measure(longest, kBold).width, HeadingWidth(sheet_.columns[i].title)) + 2 * kPadding + 1;
      numbers += widths[i];
    }
    const double room = kContent - kTextColumnMin * static_cast<double>(texts);
    is_cramped_ = numbers > room;
    const double scale = is_cramped_ ? room / numbers : 1;
    const double rest = texts == 0 ? 0 : (kContent - numbers * scale) / static_cast<double>(texts);
    double from = 0;
    for (std::size_t i = 0; i < sheet_.columns.size(); ++i) {
      const double width = sheet_.columns[i].is_number ? widths[i] * scale : rest;
      places_.push_back({from, width});
      from += width;
      if (!sheet_.columns[i].is_number) text_column_ = i;
    }
    for (std::size_t i = 0; i < sheet_.columns.size(); ++i) {
      head_height_ =
          std::max(head_height_, text_.Measure(sheet_.columns[i].title, kHead, places_[i].width - 2 * kPadding).height);
    }
    head_height_ += 2 * kPadding;
  }

  double MeasuredSmall(const std::string& text, double width) {
    const auto [known, is_new] = small_heights_.try_emplace(text);
    if (is_new) known->second = text_.Measure(text, kSmall, width).height;
    return known->second;
  }

  double HeightOf(const Row& row) {
    double out = line_height_;
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      if (sheet_.columns[i].is_number && !is_cramped_ && row.cells[i].small.empty()) continue;
      const double width = places_[i].width - 2 * kPadding;
      double height = text_.Measure(row.cells[i].text, kText, width, ReadingOf(i)).height;
      for (const std::string& line : row.cells[i].small) height += MeasuredSmall(line, width);
      out = std::max(out, height);
    }
    return out + 2 * kPadding;
  }

  Reading ReadingOf(std::size_t column) const {
    return sheet_.columns[column].is_number ? Reading::kLeftToRight : Reading::kOwn;
  }

  Status WriteAll() {
    FirstPage();
    ALLOD_CHECK_OK(Rows());
    ALLOD_CHECK_OK(Totals());
    ALLOD_CHECK_OK(Notes());
    EndPage();
    return {};
  }

  void FirstPage() {
    ++page_;
    y_ = kMargin;
    const double title = Put("H1", sheet_.title, kTitle, 0, y_, start_);
    const double number = text_.Measure(sheet_.number, kSubtitle).height;
    Put("P", sheet_.number, kSubtitle, kContent, y_ + title - number - 3, end_, 0, Reading::kLeftToRight);
    y_ += title + 4;
    Rule(0, kContent, y_, 1.5, 0.1);
    y_ += kGap;
    Blocks();
    Facts();
    TableHead();
  }

  void Blocks() {
    if (sheet_.blocks.empty()) return;
    const std::size_t in_row = std::min<std::size_t>(sheet_.blocks.size(), 3);
    const double width = (kContent - kGap * static_cast<double>(in_row - 1)) / static_cast<double>(in_row);
    double top = y_;
    double below = y_;
    for (std::size_t i = 0; i < sheet_.blocks.size(); ++i) {
      if (i > 0 && i % in_row == 0) top = below += kGap;
      const double from = static_cast<double>(i % in_row) * (width + kGap);
      double y = top;
      y += Put("P", sheet_.blocks[i].title, kLabel, from, y, start_, width) + 2;
      bool is_first = true;
      for (const std::string& line : sheet_.blocks[i].lines) {
        y += Put("P", line, is_first ? kHeading : kText, from, y, start_, width) + 1;
        is_first = false;
      }
      below = std::max(below, y);
    }
    y_ = below + kGap;
  }

  // In rows of as many as have room; one that is too long for that has a row of its own.
  void Facts() {
    const auto in_row = static_cast<std::size_t>((kContent + kGap) / (kFactWidthMin + kGap));
    const double width = (kContent - kGap * static_cast<double>(in_row - 1)) / static_cast<double>(in_row);
    std::size_t column = 0;
    double height = 0;
    const auto end_row = [&] {
      if (column > 0) y_ += height + 6;
      column = 0;
      height = 0;
    };
    for (const Fact& fact : sheet_.facts) {
      const bool is_long = text_.Measure(fact.value, kText).width > width;
      if (is_long || column == in_row) end_row();
      const double from = static_cast<double>(column) * (width + kGap);
      const double room = is_long ? kContent : width;
      const double name = Put("P", fact.name, kLabel, from, y_, start_, room);
      height = std::max(height, name + Put("P", fact.value, kText, from, y_ + name, start_, room));
      ++column;
      if (is_long) end_row();
    }
    end_row();
    y_ += kGap - 4;
  }

  void TableHead() {
    Begin("Table");
    in_table_ = true;
    Fill(y_, head_height_, 0.93);
    Begin("TR");
    double baseline = 0;
    for (const Column& column : sheet_.columns) baseline = std::max(baseline, Baseline(column.title, kHead));
    for (std::size_t i = 0; i < sheet_.columns.size(); ++i) {
      const std::string& title = sheet_.columns[i].title;
      PutCell("TH", i, title, kHead, y_ + kPadding + Drop(title, kHead, baseline), Reading::kOwn);
    }
    End("TR");
    y_ += head_height_;
    Rule(0, kContent, y_, 0.75, 0.3);
  }

  void Begin(const char* tag) {
    if (has_ink_) cairo_tag_begin(cairo_, tag, nullptr);
  }
  void End(const char* tag) {
    if (has_ink_) cairo_tag_end(cairo_, tag);
  }

  // How far a text goes down so that its first line stands on `baseline` with those beside it: scripts differ.
  double Drop(std::string_view text, const Style& style, double baseline) {
    return text.empty() ? 0 : std::max(baseline - text_.Measure(text, style).baseline, 0.0);
  }
  double Baseline(std::string_view text, const Style& style) {
    return text.empty() ? 0 : text_.Measure(text, style).baseline;
  }

  double PutCell(const char* tag, std::size_t column, std::string_view text, const Style& style, double y,
                 Reading reading) {
    const Place& place = places_[column];
    const bool at_end = sheet_.columns[column].is_number;
    const double from = at_end ? place.from + place.width - kPadding : place.from + kPadding;
    return Put(tag, text, style, from, y, at_end ? end_ : start_, place.width - 2 * kPadding, reading);
  }

  void Foot() {
    Rule(0, kContent, kFoot - 6, 0.5, 0.7);
    std::string text = sheet_.page_of;
    for (const auto& [word, number] : {std::pair{"{page}", page_}, std::pair{"{pages}", pages_}}) {
      if (const std::size_t at = text.find(word); at != std::string::npos) {
        text.replace(at, std::char_traits<char>::length(word), std::to_string(number));
      }
    }
    const double baseline = std::max(Baseline(text, kLabel), Baseline(sheet_.number, kLabel));
    Put("P", sheet_.number, kLabel, 0, kFoot + Drop(sheet_.number, kLabel, baseline), start_, 0, Reading::kLeftToRight);
    Put("P", text, kLabel, kContent, kFoot + Drop(text, kLabel, baseline), end_);
  }

  void EndPage() {
    if (!has_ink_) return;
    Foot();
    cairo_show_page(cairo_);
  }

  void EndTable() {
    if (in_table_) End("Table");
    in_table_ = false;
  }

  void NextPage() {
    EndTable();
    EndPage();
    ++page_;
    y_ = kMargin - 12;
    const std::string head = fmt::format("{} {}", sheet_.title, sheet_.number);
    const double baseline = std::max(Baseline(head, kHeading), Baseline(sheet_.issuer, kText));
    Put("P", head, kHeading, 0, y_ + Drop(head, kHeading, baseline), start_, kContent / 2);
    Put("P", sheet_.issuer, kText, kContent, y_ + Drop(sheet_.issuer, kText, baseline), end_, kContent / 2 - kGap);
    y_ += 2 * line_height_;
    Rule(0, kContent, y_, 0.75, 0.3);
    y_ += kGap;
  }

  void Carry(const std::string& word, const std::string& sum) {
    Begin("TR");
    const Place& place = places_[text_column_];
    const double baseline = std::max(Baseline(word, kBold), Baseline(sum, kBold));
    Put("TD", word, kBold, place.from + kPadding, y_ + kPadding + Drop(word, kBold, baseline), start_,
        place.width - 2 * kPadding);
    PutCell("TD", sheet_.columns.size() - 1, sum, kBold, y_ + kPadding + Drop(sum, kBold, baseline),
            Reading::kLeftToRight);
    End("TR");
    y_ += carry_height_;
    Rule(0, kContent, y_, 0.5, 0.6);
  }

  // With what was added up so far at its end and at the head of the next.
  void NextPageOfTable(std::size_t rows_before) {
    if (rows_before == 0) {
      NextPage();
      return TableHead();
    }
    const std::string& sum = sheet_.rows[rows_before - 1].running;
    Carry(sheet_.carried_forward, sum);
    NextPage();
    TableHead();
    Carry(sheet_.brought_forward, sum);
  }

  Status CheckFits(double height) const {
    if (height <= kBottom - kMargin - 3 * kGap - head_height_ - 2 * carry_height_) return {};
    return InvalidArgument("INVALID_SHEET", "sheet: something in it is higher than a page");
  }

  Status Rows() {
    for (std::size_t i = 0; i < sheet_.rows.size(); ++i) {
      const double height = heights_[i];
      ALLOD_CHECK_OK(CheckFits(height));
      if (y_ + height > kBottom - carry_height_) NextPageOfTable(i);
      if (has_ink_) PutRow(sheet_.rows[i]);
      y_ += height;
      Rule(0, kContent, y_, 0.4, 0.82);
    }
    return {};
  }

  void PutRow(const Row& row) {
    double baseline = 0;
    for (const Cell& cell : row.cells) baseline = std::max(baseline, Baseline(cell.text, kText));
    Begin("TR");
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      double y = y_ + kPadding + Drop(row.cells[i].text, kText, baseline);
      y += PutCell("TD", i, row.cells[i].text, kText, y, ReadingOf(i));
      for (const std::string& line : row.cells[i].small) y += PutCell("P", i, line, kSmall, y, Reading::kOwn);
    }
    End("TR");
  }

  Status Totals() {
    constexpr double kName = 0.3 * kContent;  // where names begin: under the table's end
    bool is_first = true;
    for (const Total& total : sheet_.totals) {
      const Style& style = total.is_due ? kDue : kText;
      const TextSetter::Size value = text_.Measure(total.value, style, 0, Reading::kLeftToRight);
      const double name_width = std::max(kContent - kName - value.width - kGap - 2 * kPadding, kContent / 4);
      const double height = std::max(value.height, text_.Measure(total.name, style, name_width).height) + 2 * kPadding;
      ALLOD_CHECK_OK(CheckFits(height));
      if (y_ + height > kBottom) {
        if (is_first && !sheet_.rows.empty()) {
          NextPageOfTable(sheet_.rows.size());
        } else {
          NextPage();
        }
      }
      if (total.is_due) Rule(kName, kContent, y_, 1.2, 0.1);
      Begin("TR");
      const double baseline = std::max(Baseline(total.name, style), value.baseline);
      Put("TH", total.name, style, kName + kPadding, y_ + kPadding + Drop(total.name, style, baseline), start_,
          name_width);
      Put("TD", total.value, style, kContent - kPadding, y_ + kPadding + Drop(total.value, style, baseline), end_, 0,
          Reading::kLeftToRight);
      End("TR");
      y_ += height;
      Rule(kName, kContent, y_, total.is_due ? 1.2 : 0.4, total.is_due ? 0.1 : 0.82);
      is_first = false;
    }
    EndTable();
    y_ += kGap;
    return {};
  }

  Status Notes() {
    for (const Block& note : sheet_.notes) {
      bool is_first = true;
      for (const std::string& line : note.lines) {
        const double title = is_first ? text_.Measure(note.title, kHeading, kContent).height + 2 : 0;
        const double height = text_.Measure(line, kText, kContent).height;
        ALLOD_CHECK_OK(CheckFits(title + height));
        if (y_ + title + height > kBottom) NextPage();
        if (is_first) y_ += Put("P", note.title, kHeading, 0, y_, start_, kContent) + 2;
        y_ += Put("P", line, kText, 0, y_, start_, kContent) + 1;
        is_first = false;
      }
      y_ += kGap;
    }
    return {};
  }

  const Sheet& sheet_;
  cairo_t* const cairo_;
  TextSetter& text_;
  Side start_ = Side::kLeft;
  Side end_ = Side::kRight;
  double line_height_ = 0;
  double carry_height_ = 0;
  double head_height_ = 0;
  bool is_cramped_ = false;  // columns of numbers are narrower than they would be
  std::size_t text_column_ = 0;
  std::vector<Place> places_;
  std::vector<double> heights_;  // of the rows
  std::map<std::string, double> small_heights_;
  bool has_ink_ = false;
  bool in_table_ = false;
  double y_ = 0;
  int page_ = 0;
  int pages_ = 0;
};

}  // namespace

Result<std::string> WritePdf(const Sheet& sheet, const std::filesystem::path& font_directory) {
  ALLOD_TRY(Fonts fonts, LoadFonts(CharactersOf(sheet), font_directory));
  std::string out;
  const std::unique_ptr<cairo_surface_t, Destroy> surface(
      cairo_pdf_surface_create_for_stream(&Append, &out, kWidth, kHeight));
  cairo_pdf_surface_restrict_to_version(surface.get(), CAIRO_PDF_VERSION_1_5);
  const auto set = [&](cairo_pdf_metadata_t what, const std::string& value) {
    cairo_pdf_surface_set_metadata(surface.get(), what, value.c_str());
  };
  set(CAIRO_PDF_METADATA_TITLE, fmt::format("{} {}", sheet.title, sheet.number));
  set(CAIRO_PDF_METADATA_AUTHOR, sheet.issuer);
  set(CAIRO_PDF_METADATA_CREATOR, "allod-invoice");
  set(CAIRO_PDF_METADATA_CREATE_DATE, sheet.created);
  set(CAIRO_PDF_METADATA_MOD_DATE, sheet.created);
  {
    const std::unique_ptr<cairo_t, Destroy> cairo(cairo_create(surface.get()));
    TextSetter text(cairo.get(), std::move(fonts), sheet.language, sheet.is_right_to_left);
    ALLOD_CHECK_OK(PageWriter(sheet, cairo.get(), text).Write());
    ALLOD_CHECK_OK(text.status());
  }
  cairo_surface_finish(surface.get());
  const cairo_status_t status = cairo_surface_status(surface.get());
  if (status != CAIRO_STATUS_SUCCESS) {
    return Fail(Code::kInternal, "PDF_NOT_WRITTEN", fmt::format("cairo: {}", cairo_status_to_string(status)));
  }
  return out;
}

}  // namespace allod::billing::typesetting
