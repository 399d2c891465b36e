// Read before anything is drawn, so that the page does not flash in the other theme.
{
  const theme = localStorage.getItem("localsearch-theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}
