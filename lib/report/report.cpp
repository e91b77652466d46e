#include "report/report.h"

#include <cassert>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "io/artifact.h"
#include "report/page.h"
#include "report/page_data.h"

namespace cachectl::report {
namespace {

// The page before and after a marker, which stands in it once.
std::pair<std::string_view, std::string_view> around(std::string_view page,
                                                     std::string_view marker) {
  const std::size_t at = page.find(marker);
  assert(at != page.npos && page.find(marker, at + 1) == page.npos);
  return {page.substr(0, at), page.substr(at + marker.size())};
}

}  // namespace

std::string html(const artifact::Report& report) {
  assert(!report.plans.empty());
  const auto [head, rest] = around(page_template(), "{{title}}");
  const auto [middle, tail] = around(rest, "{{data}}");
  std::string page(head);
  page += escape_html(report.title);
  page += middle;
  page += script_safe(page_data(report));
  page += tail;
  return page;
}

void write_html(const std::string& path, const artifact::Report& report) {
  const std::string page = html(report);
  const std::string temporary = path + ".tmp";
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) fail(ExitCode::kCannotOpen, "{}: cannot write: {}", temporary, errno_text());
  const bool written = std::fwrite(page.data(), 1, page.size(), file) == page.size();
  if (std::fclose(file) != 0 || !written) {
    const std::string reason = errno_text();
    std::remove(temporary.c_str());
    fail(ExitCode::kCannotOpen, "{}: cannot write: {}", temporary, reason);
  }
  io::sync_to_disk(temporary);
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) {
    std::remove(temporary.c_str());
    fail(ExitCode::kCannotOpen, "{}: cannot write: {}", path, error.message());
  }
}

}  // namespace cachectl::report
