"""The classes of ctk, as declared.py reads them. A type that ends in ``=`` may be left out."""

from __future__ import annotations

CTK = """
class ctkCollapsibleButton : QAbstractButton
  property bool collapsed
  property int collapsedHeight = 14
  property bool flat
  property int contentsFrameShape
  property int contentsFrameShadow
  property int contentsLineWidth = 1
  property int contentsMidLineWidth
  property int buttonTextAlignment = 129
  property int indicatorAlignment = 129
  signal contentsCollapsed(bool)

class ctkCollapsibleGroupBox : QGroupBox
  property bool collapsed
  property int collapsedHeight = 14

class ctkPushButton : QPushButton
  property int buttonTextAlignment = 132
  property int iconAlignment = 129
  property int elideMode = 3

class ctkCheckablePushButton : ctkPushButton
  property int indicatorAlignment = 129
  property int checkState
  property bool checkBoxControlsButton = True
  property bool checkBoxControlsButtonToggleState
  property bool checkBoxUserCheckable = True
  signal checkBoxToggled(bool)
  signal checkStateChanged(Qt::CheckState)

class ctkMenuButton : QPushButton

class ctkColorPickerButton : QPushButton
  property QColor color
  property QString colorName
  property bool displayColorName = True
  property int dialogOptions
  slot setColor(QColor)
  slot changeColor()
  slot setDisplayColorName(bool)
  signal colorChanged(QColor)
  signal colorNameChanged(QString)

class ctkCheckBox : QCheckBox
  property QIcon indicatorIcon
  property QSize indicatorIconSize

class ctkComboBox : QComboBox
  property QString defaultText
  property QIcon defaultIcon
  property bool forceDefault
  property int elideMode = 3
  property int scrollWheelEffect = 1
  property QString currentUserDataAsString
  slot setCurrentUserDataAsString(QString)
  signal returnRelease()
  signal defaultTextChanged(QString)
  signal defaultIconChanged(QIcon)
  signal forceDefaultChanged(bool)
  signal elideModeChanged(Qt::TextElideMode)
  signal scrollWheelEffectChanged(ScrollEffect)
  signal currentUserDataAsStringChanged(QString)

class ctkCheckableComboBox : QComboBox
  slot checkedIndexes()
  slot allChecked()
  slot noneChecked()
  slot setCheckState(QModelIndex, Qt::CheckState)
  slot checkState(QModelIndex)
  signal checkedIndexesChanged()

class ctkSliderWidget : QWidget
  property int decimals = 2
  property double singleStep = 1.0
  property double pageStep = 10.0
  property double minimum
  property double maximum = 99.0
  property double value
  property QString prefix
  property QString suffix
  property double tickInterval
  property int tickPosition
  property int synchronizeSiblings = 1
  property int spinBoxAlignment = 1
  property bool tracking = True
  property bool spinBoxVisible = True
  property bool popupSlider
  property bool invertedAppearance
  property bool invertedControls
  slot reset()
  slot setValue(double)
  slot setSpinBoxVisible(bool)
  slot setDecimals(int)
  signal valueChanged(double)
  signal valueIsChanging(double)
  signal decimalsChanged(int)

class ctkDoubleSlider : QWidget
  property double value
  property double sliderPosition
  property double singleStep = 1.0
  property double pageStep = 10.0
  property double minimum
  property double maximum = 99.0
  property double tickInterval
  property int tickPosition
  property bool tracking = True
  property int orientation = 2
  property QString handleToolTip
  property bool invertedAppearance
  property bool invertedControls
  slot setValue(double)
  slot setOrientation(Qt::Orientation)
  signal valueChanged(double)
  signal sliderMoved(double)
  signal sliderPressed()
  signal sliderReleased()
  signal rangeChanged(double, double)

class ctkDoubleSpinBox : QWidget
  property int alignment = 1
  property bool frame = True
  property bool readOnly
  property QString prefix
  property QString suffix
  property QString cleanText readonly
  property int decimals = 2
  property int decimalsOption = 9
  property double minimum
  property double maximum = 99.0
  property double singleStep = 1.0
  property double value
  property int setMode = 1
  property bool invertedControls
  property int sizeHintPolicy
  slot setValue(double)
  slot setValueIfDifferent(double)
  slot setValueAlways(double)
  slot stepUp()
  slot stepDown()
  slot setDecimals(int)
  slot setReadOnly(bool)
  signal valueChanged(double)
  signal valueChanged(QString)
  signal editingFinished()
  signal decimalsChanged(int)

class ctkRangeWidget : QWidget
  property int decimals = 2
  property double singleStep = 1.0
  property double minimum
  property double maximum = 99.0
  property double minimumValue
  property double maximumValue = 99.0
  property QString prefix
  property QString suffix
  property double tickInterval
  property bool autoSpinBoxWidth = True
  property int spinBoxTextAlignment = 1
  property int spinBoxAlignment = 128
  property bool tracking = True
  property bool symmetricMoves
  property double customSpinBoxesLimitsMin readonly
  property double customSpinBoxesLimitsMax readonly
  slot setRange(double, double)
  slot reset()
  slot setMinimumValue(double)
  slot setMaximumValue(double)
  slot setValues(double, double)
  slot setDecimals(int)
  signal minimumValueChanged(double)
  signal minimumValueIsChanging(double)
  signal maximumValueChanged(double)
  signal maximumValueIsChanging(double)
  signal valuesChanged(double, double)
  signal rangeChanged(double, double)

class ctkPathLineEdit : QWidget
  property QString label
  property int filters = 3
  property QString currentPath
  property int options
  property QString settingKey
  property bool showBrowseButton = True
  property bool showHistoryButton = True
  property int sizeAdjustPolicy = 2
  property int minimumContentsLength
  property QStringList nameFilters
  slot comboBox()
  slot setCurrentPath(QString)
  slot browse()
  slot retrieveHistory()
  slot addCurrentPathToHistory()
  signal validInputChanged(bool)
  signal currentPathChanged(QString)

class ctkDirectoryButton : QWidget
  property int acceptMode
  property QString directory
  property QString caption
  property QString text
  property QIcon icon
  property int elideMode = 2
  property int options
  slot browse()
  signal directoryChanged(QString)
  signal directorySelected(QString)

class ctkMessageBox : QMessageBox
  property bool dontShowAgain
  property QString dontShowAgainSettingsKey
  property bool dontShowAgainVisible
  slot setDontShowAgain(bool)
"""
