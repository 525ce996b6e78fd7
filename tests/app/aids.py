"""What those find who see little or nothing, or use no mouse: contrasts, the status line, and the link to the controls."""

from playwright.sync_api import Locator, Page, expect

# By how many pixels a page is wider than its window.
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# The contrast of two layers, painted from the node outwards: its text over everything behind the text, and the latter alone.
CONTRAST = """node => {
    const paint = text => {
        const [red, green, blue, alpha = 1] = text.match(/^rgba?\\((.*)\\)$/)[1].split(',').map(Number)
        return [red * alpha, green * alpha, blue * alpha, alpha]
    }
    const over = (above, below) => above.map((part, i) => part + below[i] * (1 - above[3]))
    const luminance = layer => layer.slice(0, 3)
        .map(part => part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0)
    let layers = [paint(getComputedStyle(node).color), [0, 0, 0, 0]]
    for (; node; node = node.parentElement ?? node.parentNode.host) {
        const { backgroundColor, opacity } = getComputedStyle(node)
        layers = layers.map(layer => over(layer, paint(backgroundColor)).map(part => part * opacity))
    }
    const [less, more] = layers.map(layer => luminance(over(layer, [255, 255, 255, 1]))).sort((a, b) => a - b)
    return (more + 0.05) / (less + 0.05)
}"""


def status(page: Page) -> Locator:
    return page.locator(".st-key-status-line").get_by_role("status")


def skip(page: Page) -> None:
    """The first stop in the page's main part is the link, and Enter on it leads to the controls."""
    link = page.get_by_role("link", name="Skip to the controls")
    assert link.evaluate("node => getComputedStyle(node).clipPath") == "inset(50%)"
    page.locator("main").focus()
    page.keyboard.press("Tab")
    expect(link).to_be_focused()
    assert link.evaluate("node => getComputedStyle(node).clipPath") == "none"
    box = link.bounding_box()
    assert box and box["width"] > 100 and box["height"] > 20
    assert link.evaluate(CONTRAST) >= 4.5
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.closest('.st-key-controls') !== null")
    expect(page.get_by_role("listbox")).to_have_count(0)  # Enter has not opened a control's list
